# METADATA
# title: What records do not keep of people
# description: >-
#   Where people are is kept as their network, and what they browse with not at all.
#   The records still tell one network from another.
# authors: [Privacy team <privacy@corp.example>]
# custom: {review_by: "2031-03-31"}
package admission.mask

# METADATA
# title: No browser
# description: What a browser says of itself tells people apart, and decides nothing here.
mask contains "/input/request/source/user_agent"

# METADATA
# title: No client of a refresh
# description: What it says of itself is often the name of a person's machine.
mask contains "/input/now/source/user_agent"

# METADATA
# title: The network of the request
# description: Of every record, those of sign-ins and operators too.
mask contains {"op": "upsert", "path": "/source", "value": network} if {
	network := _network(input.source)
}

# METADATA
# title: The network of the request that a policy saw
# description: What a person agreed to keeps its address in the grant, and every refresh shows it again.
mask contains {"op": "upsert", "path": "/input/request/source/ip", "value": network} if {
	network := _network(input.input.request.source.ip)
}

# METADATA
# title: The network of a refresh
# description: That of the client, which for a hosted agent is never the person's.
mask contains {"op": "upsert", "path": "/input/now/source/ip", "value": network} if {
	network := _network(input.input.now.source.ip)
}

# METADATA
# title: The network of an address
# description: The first three numbers of an IPv4 address, the first three groups of an IPv6 one; nothing of nothing.
_network(ip) := sprintf("%s.0/24", [concat(".", array.slice(split(ip, "."), 0, 3))]) if {
	contains(ip, ".")
	not contains(ip, ":")
}

_network(ip) := sprintf("%s::/48", [concat(":", array.slice(_groups(ip), 0, 3))]) if contains(ip, ":")

# METADATA
# title: The groups of an IPv6 address before "::"
# description: All of them where it has none.
_groups(ip) := split(split(ip, "::")[0], ":") if not startswith(ip, "::")

_groups(ip) := [] if startswith(ip, "::")
