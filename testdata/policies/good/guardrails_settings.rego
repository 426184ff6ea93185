package admission.guardrails

ceiling := {}
