# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.guardrails

ceiling := {}
