package main

import (
	"strings"
	"testing"
)

// TestReadmeTheFirstHour begins a guest list as the section does.
func TestReadmeTheFirstHour(t *testing.T) {
	_, rest, ok := strings.Cut(section(t, "For security teams"), "\n### The first hour\n")
	if !ok {
		t.Fatal("the section is not there")
	}
	text, _, _ := strings.Cut(rest, "\n### ")
	dir, list := readmeDir(t), examples(text)
	if len(list) != 4 {
		t.Fatalf("%d commands, want 4", len(list))
	}
	for _, e := range list {
		e.check(t, dir)
	}
}
