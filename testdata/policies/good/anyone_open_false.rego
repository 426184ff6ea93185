# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.anyone

settings := {"consent": {"mode": "approval"}}
