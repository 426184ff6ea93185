# want: metadata_missing:2
package admission.anyone

settings := {"consent": {"mode": "approval"}}
