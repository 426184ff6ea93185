# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.defaults

settings := {"tags": ["a"]}
