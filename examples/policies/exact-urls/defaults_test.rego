package admission.defaults_test

import data.admission.defaults

# METADATA
# title: Tokens are short
# description: What is stolen is soon worth nothing.
test_tokens_are_short if defaults.settings.access_token.ttl == "10m"
