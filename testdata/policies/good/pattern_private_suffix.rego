package admission.policies.p

client_ids := {"https://*.foo.github.io/x"}
