# want: client_ids_invalid:4
package admission.policies.p

client_ids := {"https://127.0.0.1/x"}
