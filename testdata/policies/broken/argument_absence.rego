# want: argument_absence:8
package admission.policies.p

import input.published as doc

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains _demand(doc.contacts) if "mcp:write" in input.effective.scopes

_demand(contacts) := {"code": "x", "message": "y"} if not "ops@app.example.com" in contacts
