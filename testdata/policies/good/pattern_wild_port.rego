package admission.policies.p

client_ids := {"https://a.example:8443/x"}
