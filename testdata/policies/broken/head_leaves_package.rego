# want: package_unknown:2
package admission

policies.p.settings := {}
