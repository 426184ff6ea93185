# want: rule_unknown:6
package admission.anyone

settings := {"open": true}

priority := 1
