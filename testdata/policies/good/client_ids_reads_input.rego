package admission.policies.p

client_ids := {concat("", ["https://", h, "/x"]) | some h in data.lib.hosts.trusted}
