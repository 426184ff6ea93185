# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "c0", "message": "m"} if regex.match("^h0[.]", input.client.host)

deny contains {"code": "c1", "message": "m"} if regex.match("^h1[.]", input.client.host)

deny contains {"code": "c2", "message": "m"} if regex.match("^h2[.]", input.client.host)

deny contains {"code": "c3", "message": "m"} if regex.match("^h3[.]", input.client.host)

deny contains {"code": "c4", "message": "m"} if regex.match("^h4[.]", input.client.host)

deny contains {"code": "c5", "message": "m"} if regex.match("^h5[.]", input.client.host)

deny contains {"code": "c6", "message": "m"} if regex.match("^h6[.]", input.client.host)

deny contains {"code": "c7", "message": "m"} if regex.match("^h7[.]", input.client.host)

deny contains {"code": "c8", "message": "m"} if regex.match("^h8[.]", input.client.host)

deny contains {"code": "c9", "message": "m"} if regex.match("^h9[.]", input.client.host)

deny contains {"code": "c10", "message": "m"} if regex.match("^h10[.]", input.client.host)

deny contains {"code": "c11", "message": "m"} if regex.match("^h11[.]", input.client.host)

deny contains {"code": "c12", "message": "m"} if regex.match("^h12[.]", input.client.host)

deny contains {"code": "c13", "message": "m"} if regex.match("^h13[.]", input.client.host)

deny contains {"code": "c14", "message": "m"} if regex.match("^h14[.]", input.client.host)

deny contains {"code": "c15", "message": "m"} if regex.match("^h15[.]", input.client.host)

deny contains {"code": "c16", "message": "m"} if regex.match("^h16[.]", input.client.host)

deny contains {"code": "c17", "message": "m"} if regex.match("^h17[.]", input.client.host)

deny contains {"code": "c18", "message": "m"} if regex.match("^h18[.]", input.client.host)

deny contains {"code": "c19", "message": "m"} if regex.match("^h19[.]", input.client.host)
