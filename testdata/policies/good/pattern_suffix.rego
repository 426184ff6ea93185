package admission.policies.p

client_ids := {"https://*.example.com/x"}
