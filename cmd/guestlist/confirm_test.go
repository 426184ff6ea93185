package main

import (
	"os"
	"strings"
	"testing"
)

func TestOnlyAYesIsAYes(t *testing.T) {
	for in, want := range map[string]bool{
		"y\n": true, "Y\n": true, "yes\n": true, " yes \n": true, "y": true,
		"": false, "\n": false, "n\n": false, "no\n": false, "yesterday\n": false, strings.Repeat(" ", 200) + "y\n": false,
	} {
		var out strings.Builder
		if got := agreed(strings.NewReader(in), &out, "Sure?"); got != want || !strings.HasPrefix(out.String(), "Sure? [y/N] ") {
			t.Errorf("agreed(%q) = %v after %q, want %v", in, got, out.String(), want)
		}
	}
}

func TestNobodyTypes(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(null) || isTerminal(r) || isTerminal(strings.NewReader("y\n")) {
		t.Errorf("isTerminal() of %s, a pipe and a string = %v, %v, %v, want false", os.DevNull, isTerminal(null), isTerminal(r), isTerminal(strings.NewReader("y")))
	}
}
