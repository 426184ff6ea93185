package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"guestlist/store"
)

// TestReadmeKept runs the commands of the section on what is kept and erased,
// after an admission (G-01).
func TestReadmeKept(t *testing.T) {
	_, _, password, socket, link := devServer(t)
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	_, rest, ok := strings.Cut(section(t, "For auditors"), "\n### Kept, masked, erased\n")
	if !ok {
		t.Fatal("the section is not there")
	}
	text, _, _ := strings.Cut(rest, "\n### ")
	list := examples(text)
	if len(list) < 5 {
		t.Fatalf("%d commands, want at least 5", len(list))
	}
	dir := t.TempDir()
	for _, e := range list {
		e.command = strings.ReplaceAll(e.command, "SOCKET", socket)
		if strings.Contains(e.command, " HOLD ") {
			stdout, stderr, _ := output(t, "audit", "hold", "list", "-o", "json", "--socket", socket)
			var holds []store.Hold
			if err := json.Unmarshal([]byte(stdout), &holds); err != nil || len(holds) != 1 {
				t.Fatalf("hold list: %v, %s%s, want one", err, stdout, stderr)
			}
			e.command = strings.ReplaceAll(e.command, " HOLD ", " "+holds[0].ID+" ")
		}
		e.check(t, dir)
	}
}
