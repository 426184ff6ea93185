# want: settings_invalid:4
package admission.anyone

settings := {"scopes": {"ceiling": ["a"]}}
