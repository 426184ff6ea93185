package admission.policies.guards

client_ids := {"https://app.example.com/x"}
