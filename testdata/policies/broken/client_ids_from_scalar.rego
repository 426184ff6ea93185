# want: list_invalid:2
package admission.policies.p

client_ids_from := data.lists.blocked
