package admission.policies.p

client_ids := {"https://x.example/x"}
