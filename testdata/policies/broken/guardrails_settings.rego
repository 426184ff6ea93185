# want: rule_unknown:4
package admission.guardrails

settings := {}
