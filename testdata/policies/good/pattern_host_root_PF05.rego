package admission.policies.p

client_ids := {"https://a.example/"}
