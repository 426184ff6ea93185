# want: ceiling_invalid:4
package admission.guardrails

ceiling := {"tags": ["x"]}
