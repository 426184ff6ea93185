# want: client_ids_invalid:4
package admission.policies.p

client_ids contains "https://*"
