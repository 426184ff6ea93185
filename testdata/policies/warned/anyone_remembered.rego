# want: anyone_remembered:7
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.anyone

settings := {"open": true, "consent": {"mode": "once"}}
