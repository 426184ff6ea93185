# want: settings_invalid:4
package admission.anyone

settings := {"open": false}
