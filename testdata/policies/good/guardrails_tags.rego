package admission.guardrails

ceiling := {"scopes": {"ceiling": ["a"]}}
