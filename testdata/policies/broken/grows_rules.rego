# want: value_grows:26
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

_x0 := input.client.labels

_x1 := [_x0, _x0]

_x2 := [_x1, _x1]

_x3 := [_x2, _x2]

_x4 := [_x3, _x3]

_x5 := [_x4, _x4]

_x6 := [_x5, _x5]

_x7 := [_x6, _x6]

_x8 := [_x7, _x7]

_x9 := [_x8, _x8]

_x10 := [_x9, _x9]

_x11 := [_x10, _x10]

_x12 := [_x11, _x11]

deny contains {"code": "x", "message": json.marshal(_x12)}
