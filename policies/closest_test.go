package policies_test

import (
	"testing"

	"guestlist/policies"
)

func TestClosest(t *testing.T) {
	names := []string{"deny", "deny_document", "mode", "client_ids", "q", "priority"}
	for s, want := range map[string]string{
		"denny":         "deny",
		"dney":          "",
		"piroirty":      "",
		"priorty":       "priority",
		"proirity":      "priority",
		"Client-IDs":    "client_ids",
		"client_id":     "client_ids",
		"deny_docmnt":   "deny_document",
		"deny_documXYZ": "deny_document",
		"deny_docWXYZ":  "",
		"qq":            "q",
		"mad":           "",
		"allow":         "",
	} {
		if got := policies.Closest(s, names); got != want {
			t.Errorf("Closest(%q) = %q, want %q", s, got, want)
		}
	}
	if got := policies.Closest("moda", []string{"mods", "mode"}); got != "mods" {
		t.Errorf("Closest(moda) = %q, want the first of the nearest", got)
	}
}
