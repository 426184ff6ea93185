package admission.policies.q

client_ids := {"https://app.example.com/x"}
