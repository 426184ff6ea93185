# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if count([1 | walk(_tree, [_, a]); walk(_tree, [_, b]); walk(_tree, [_, c]); a == [b, c, input.client.host]]) == 1

_tree := [[x, [x, [x]]] | some x in numbers.range(1, 3000)]
