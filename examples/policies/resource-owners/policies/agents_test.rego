package admission.policies.agents_test

import data.admission.policies.agents
import data.owners

# METADATA
# title: Every audience has an owner
# description: A resource that nobody speaks for would be closed without anybody noticing.
test_every_audience_has_an_owner if {
	count(agents.client_ids) == 1
	every id in agents.settings.audiences {
		count(owners[id].groups) > 0
		count(owners[id].scopes) > 0
	}
}
