# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if count(graph.reachable(_graph, {input.client.host})) == 1

_graph[a] := numbers.range(1, 20000) if some a in array.concat([input.client.host], numbers.range(1, 20000))
