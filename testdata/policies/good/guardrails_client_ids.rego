package admission.guardrails

deny contains {"code": "x", "message": "y"} if input.client.host == "evil.example"
