package admission.policies.p

client_ids := {"https://a.example/x"} if 1 == 1
