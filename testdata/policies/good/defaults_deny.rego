package admission.defaults

settings := {"client_ttl": "1d"}
