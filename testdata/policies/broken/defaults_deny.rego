# want: rule_unknown:4
package admission.defaults

deny contains {"code": "x", "message": "y"}
