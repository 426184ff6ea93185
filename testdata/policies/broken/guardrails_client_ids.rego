# want: rule_unknown:4
package admission.guardrails

client_ids := {"https://a.example/x"}
