# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {concat("", ["https://", h, "/x"]) | some h in data.lib.hosts.trusted}
