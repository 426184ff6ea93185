package admission.mask_test

import data.admission.mask

_record(ip) := {
	"event": "admission.decided", "source": ip,
	"input": {
		"request": {"source": {"ip": ip, "user_agent": "Browser/1"}},
		"now": {"source": {"ip": ip, "user_agent": "Agent/1"}},
	},
}

_networks(ip) := {e.value | some e in elements; e.op == "upsert"} if {
	elements := mask.mask with input as _record(ip)
}

# METADATA
# title: What goes
# description: The names of browser and agent.
test_removed_what_browsers_say if {
	gone := mask.mask with input as _record("192.0.2.7")
	{"/input/request/source/user_agent", "/input/now/source/user_agent"} == {e | some e in gone; is_string(e)}
}

# METADATA
# title: What is shortened
# description: Each address that a record has, and none that it lacks.
test_shortened_every_address if {
	short := mask.mask with input as _record("192.0.2.7")
	{"/source", "/input/request/source/ip", "/input/now/source/ip"} == {e.path | some e in short; e.op == "upsert"}
	of_a_sign_in := mask.mask with input as {"event": "person.signed_in", "source": "192.0.2.7"}
	{"/source"} == {e.path | some e in of_a_sign_in; e.op == "upsert"}
	of_a_sweep := mask.mask with input as {"event": "client.expired", "source": ""}
	count({e | some e in of_a_sweep; is_object(e)}) == 0
}

# METADATA
# title: Networks
# description: Of both families, shortened addresses too.
test_networks[case.ip] if {
	some case in [
		{"ip": "192.0.2.7", "network": "192.0.2.0/24"},
		{"ip": "2001:db8:a:b:c:d:e:f", "network": "2001:db8:a::/48"},
		{"ip": "2001:db8::7", "network": "2001:db8::/48"},
		{"ip": "2001:db8:a:b::7", "network": "2001:db8:a::/48"},
		{"ip": "::1", "network": "::/48"},
		{"ip": "::ffff:192.0.2.7", "network": "::/48"},
	]
	{case.network} == _networks(case.ip)
}
