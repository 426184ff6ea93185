package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestAuditSchema: the schema and the reference need no server.
func TestAuditSchema(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ command, want string }{
		{"schema", `"title": "guestlist decision record"`},
		{"reference", "### `admission.decided`"},
		{"reference", "| `client_blocked` | `client_not_admitted` |"},
	} {
		var out bytes.Buffer
		c := newRoot()
		c.SetArgs([]string{"audit", tt.command})
		c.SetOut(&out)
		if err := c.Execute(); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("audit %s: %v, and no %q in %.300s", tt.command, err, tt.want, out.String())
		}
		if tt.command == "schema" && !json.Valid(out.Bytes()) {
			t.Errorf("audit schema: not JSON")
		}
	}
}
