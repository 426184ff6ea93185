# want: value_grows:26
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

_x0 := input.client.labels

_x1 := object.union({"a": _x0}, {"b": _x0})

_x2 := object.union({"a": _x1}, {"b": _x1})

_x3 := object.union({"a": _x2}, {"b": _x2})

_x4 := object.union({"a": _x3}, {"b": _x3})

_x5 := object.union({"a": _x4}, {"b": _x4})

_x6 := object.union({"a": _x5}, {"b": _x5})

_x7 := object.union({"a": _x6}, {"b": _x6})

_x8 := object.union({"a": _x7}, {"b": _x7})

_x9 := object.union({"a": _x8}, {"b": _x8})

_x10 := object.union({"a": _x9}, {"b": _x9})

_x11 := object.union({"a": _x10}, {"b": _x10})

_x12 := object.union({"a": _x11}, {"b": _x11})

deny contains {"code": "x", "message": "y"} if count(_x12) == 3
