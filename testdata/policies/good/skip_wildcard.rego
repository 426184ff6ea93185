package admission.policies.p

client_ids := {"https://app.corp.example.com/x"}

settings := {"consent": {"mode": "skip"}}
