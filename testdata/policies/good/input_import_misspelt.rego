# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import input.client as c

client_ids := {"https://app.example.com/x"}

deny contains {"code": "x", "message": "y"} if c.host == "a.b"
