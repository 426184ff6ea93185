# want: client_ids_from_invalid:4
package admission.policies.p

client_ids_from := data.lib.hosts.trusted
