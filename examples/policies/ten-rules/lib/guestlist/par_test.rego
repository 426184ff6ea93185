package guestlist.par_test

import data.guestlist.par

# METADATA
# title: A pushed request
# description: Nothing to say.
test_allowed_when_pushed if not par.missing with input.request.par as true

# METADATA
# title: A request from the browser
# description: Also where nothing is known of it.
test_denied_when_not_pushed if {
	par.missing.code == "par_missing" with input.request.par as false
	par.missing with input as {}
}
