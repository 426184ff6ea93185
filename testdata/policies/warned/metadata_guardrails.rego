# want: metadata_missing:2
package admission.guardrails

ceiling := {}
