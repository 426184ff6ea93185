# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import data.lists

client_ids_from := lists.partners
