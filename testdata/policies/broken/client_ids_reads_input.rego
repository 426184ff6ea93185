# want: not_constant:4
package admission.policies.p

client_ids := {x | some x in input.client.parents}
