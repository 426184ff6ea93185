# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": sprintf("%s %03d %.200v %%1000000d", [input.client.host, count(input.client.labels), input.client.labels])}

warn contains {"code": "y", "message": "y"} if regex.match(`^[a-z]{2,40}$`, input.client.host)
