package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestReadmeFindRecords runs the commands of the sections that find records and
// report on clients, after an admission (G-28).
func TestReadmeFindRecords(t *testing.T) {
	_, _, password, socket, link := devServer(t)
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	dir := t.TempDir()
	for title, least := range map[string]int{"Find records": 3, "What changed, and who has access": 3} {
		_, rest, ok := strings.Cut(section(t, "For auditors"), "\n### "+title+"\n")
		if !ok {
			t.Fatalf("the section %s is not there", title)
		}
		text, _, _ := strings.Cut(rest, "\n### ")
		list := examples(text)
		if len(list) < least {
			t.Fatalf("%s: %d commands, want at least %d", title, len(list), least)
		}
		for _, e := range list {
			e.command = strings.ReplaceAll(e.command, "SOCKET", socket)
			e.check(t, dir)
		}
	}
}
