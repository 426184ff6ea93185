# want: row_empty:7
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.guardrails

deny contains {"code": "x", "message": "m"} if input.row.ticket == ""
