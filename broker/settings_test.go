package broker_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"guestlist/broker"
)

// strict is the column "strict value" of design §4.
const strict = `{
	"scopes": {"ceiling": [], "default": [], "unknown": "drop", "document": "advisory"},
	"grant_types": ["authorization_code"],
	"response_types": ["code"],
	"token_endpoint_auth_methods": [],
	"redirect": {"relation": "same_origin", "loopback": false, "private_scheme": false, "hosts": null},
	"consent": {"mode": "always", "max_age": "0s"},
	"access_token": {"format": "", "ttl": "5m"},
	"refresh_token": {"issue": false, "ttl": "7d", "idle": "2d", "grace": "10s"},
	"client_ttl": "30d",
	"document": {"ttl_floor": "1m", "ttl_ceiling": "1d", "stale_if_error": "1d", "max_age_for_refresh": "7d", "max_bytes": 5120,
		"on_change": "reconsent", "allow_query": false, "profile": "mcp"},
	"jwks": {"same_origin": true},
	"display": {"same_origin": true},
	"require": {"pkce": true, "par": false, "dpop": false, "client_auth": false, "signed_request": false, "acr": [], "groups": []},
	"audiences": null,
	"replay_prevention": true,
	"compat": {"token_endpoint_audience": false},
	"network": {"allow_cidrs": [], "egress_proxy": ""},
	"device": {},
	"claims": {},
	"tags": [],
	"on_policy_change": "revoke"
}`

func TestStrictSettings(t *testing.T) {
	b, err := json.Marshal(broker.StrictSettings())
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strict), &want); err != nil {
		t.Fatal(err)
	}
	for k := range want {
		if !reflect.DeepEqual(got[k], want[k]) {
			t.Errorf("StrictSettings() %s = %v, want %v", k, got[k], want[k])
		}
		delete(got, k)
	}
	for k := range got {
		t.Errorf("StrictSettings() has %s, which the table has not", k)
	}
}

// Two calls share nothing, so that a caller may complete its copy.
func TestStrictSettingsAreOnesOwn(t *testing.T) {
	a := broker.StrictSettings()
	a.GrantTypes[0] = "implicit"
	a.Claims["x"] = 1
	if b := broker.StrictSettings(); b.GrantTypes[0] != "authorization_code" || len(b.Claims) != 0 {
		t.Errorf("StrictSettings() = %v, %v after a change of an earlier copy", b.GrantTypes, b.Claims)
	}
}
