# want: policy_reference:4
package lib.more

x if data.admission.guardrails.deny
