# want: package_unknown:2
package admission.policies.p.q

client_ids := {"https://app.example.com/x"}
