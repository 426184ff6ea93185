# want: package_unknown:2
package admission.policies

client_ids := {"https://app.example.com/x"}
