package admission.policies.p

client_ids := {"https://a.b.example.com/x"}
