# want: settings_invalid:4
package admission.defaults

settings := {"network": {"egress_proxy": "http://p.example"}}
