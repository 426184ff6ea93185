package admission.defaults

settings := {"consent": {"mode": "skip"}}
