# METADATA
# title: Corporate network
# description: >-
#   Where calls come from. The address is the one that the server sees, behind
#   trusted_proxies the one that they report. input.request stays as it was when the
#   person agreed, so a refresh from elsewhere is met by a rule of its own.
package guestlist.network

# METADATA
# title: The authorization request came from outside
# description: >-
#   For deny, as in: deny contains network.outside({"10.0.0.0/8"}); nothing is fetched
#   then. In deny_user the client is seen first, and an operator can preview it from
#   anywhere. cidrs is a set of networks; an empty one lets nobody through.
outside(cidrs) := {
	"code": "outside_network",
	"message": sprintf("the request came from %v, outside %.200v", [input.request.source.ip, cidrs]),
	"remedy": "use the network of the company",
} if {
	not _within(input.request.source.ip, cidrs)
}

# METADATA
# title: The refresh came from outside
# description: >-
#   For deny_refresh, as in: deny_refresh contains network.outside_at_refresh({"10.0.0.0/8"}).
#   The address is that of the client, which for a hosted agent is never the person's.
outside_at_refresh(cidrs) := {
	"code": "outside_network",
	"message": sprintf("the refresh came from %v, outside %.200v", [input.now.source.ip, cidrs]),
	"remedy": "use the network of the company",
} if {
	not _within(input.now.source.ip, cidrs)
}

# METADATA
# title: An address within one of the networks
# description: An address that is not known is in none.
_within(ip, cidrs) if {
	ip != ""
	some cidr in cidrs
	net.cidr_contains(cidr, ip)
}
