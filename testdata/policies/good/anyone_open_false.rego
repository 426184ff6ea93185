package admission.anyone

settings := {"consent": {"mode": "approval"}}
