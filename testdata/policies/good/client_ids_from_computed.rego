package admission.policies.p

client_ids_from := data.lists.partners
