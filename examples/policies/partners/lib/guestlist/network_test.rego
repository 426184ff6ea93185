package guestlist.network_test

import data.guestlist.network

_office := {"192.0.2.0/24", "2001:db8::/32"}

_from(ip) := {"request": {"source": {"ip": ip}}}

_later(ip) := {"now": {"source": {"ip": ip}}}

# METADATA
# title: From inside
# description: One network of several is enough.
test_allowed_when_inside if {
	not network.outside(_office) with input as _from("192.0.2.7")
	not network.outside(_office) with input as _from("2001:db8::7")
	not network.outside_at_refresh(_office) with input as _later("192.0.2.7")
}

# METADATA
# title: From outside
# description: The message names the address.
test_denied_when_outside if {
	denial := network.outside(_office) with input as _from("198.51.100.7")
	denial.code == "outside_network"
	contains(denial.message, "198.51.100.7")
	network.outside_at_refresh(_office) with input as _later("198.51.100.7")
}

# METADATA
# title: Without address or network
# description: What is not known is outside.
test_denied_when_either_side_is_empty if {
	network.outside(_office) with input as _from("")
	network.outside(set()) with input as _from("192.0.2.7")
	network.outside_at_refresh(_office) with input as _later("")
}
