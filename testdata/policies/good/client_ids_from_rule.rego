# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import data.lists.partners as p

client_ids_from := p
