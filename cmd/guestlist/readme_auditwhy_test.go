package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestReadmeWhyAndDiff runs the commands of audit why and audit diff that the
// auditors' section shows.
func TestReadmeWhyAndDiff(t *testing.T) {
	_, _, password, socket, link := devServer(t)
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	ran := 0
	for _, e := range examples(section(t, "For auditors")) {
		if !strings.Contains(e.command, "audit why ") && !strings.Contains(e.command, "audit diff ") {
			continue
		}
		ran++
		e.command = strings.ReplaceAll(e.command, "SOCKET", socket)
		e.check(t, t.TempDir())
	}
	if ran < 2 {
		t.Errorf("%d commands, want at least 2", ran)
	}
}
