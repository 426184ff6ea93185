package admission.defaults

settings := {"tags": ["a"]}
