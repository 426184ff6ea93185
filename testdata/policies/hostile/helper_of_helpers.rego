# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if _e(input.client.host) == "x"

_a(x) := [y | some i in numbers.range(1, 300); y := sprintf("%s%d", [x, i])]

_b(x) := [z | some y in _a(x); some z in _a(y)]

_c(x) := [z | some y in _b(x); some z in _b(y)]

_e(x) := _c(x)[0]
