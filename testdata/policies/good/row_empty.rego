# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids_from := data.lists.partners

deny contains {"code": "x", "message": "m"} if input.row.owner == ""
