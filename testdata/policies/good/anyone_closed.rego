package admission.anyone

settings := {"open": true, "scopes": {"ceiling": ["a"]}}
