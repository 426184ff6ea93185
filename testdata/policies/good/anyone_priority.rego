package admission.anyone

settings := {"open": true}
