# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.guardrails

deny contains {"code": "x", "message": "y"} if input.client.host == "evil.example"
