# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.guardrails

deny contains {"code": "x", "message": "m"} if input.client_id == ""
