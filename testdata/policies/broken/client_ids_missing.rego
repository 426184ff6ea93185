# want: client_ids_missing:2
package admission.policies.p

settings := {}
