# METADATA
# title: A demand on an open member
# authors: [Identity team <iam@corp.example>]
# custom: {review_by: "2035-12-31"}
package admission.policies.p

import input.published as doc

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains _demand({c | some c in doc.contacts}) if "mcp:write" in input.effective.scopes

_demand(contacts) := {"code": "x", "message": "y"} if not "ops@app.example.com" in contacts
