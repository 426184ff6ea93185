package admission.policies.p

import data.lists

client_ids_from := lists.partners
