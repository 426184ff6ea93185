package main

import (
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestReadmeConfiguration: the README names all that a configuration may say,
// as a file that loads, and where it speaks of defaults they are those.
func TestReadmeConfiguration(t *testing.T) {
	text := section(t, "Every name of the configuration")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	if block == nil {
		t.Fatal("the section has no yaml")
	}
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "siem.token"), "a-token\n")
	writeTestFile(t, filepath.Join(dir, "mcp.secret"), strings.Repeat("s", 43)+"\n")
	writeTestFile(t, filepath.Join(dir, "console.json"), `{"client_id": "s6BhdRkqt3", "client_name": "Console", "redirect_uris": ["https://console.corp.example/cb"]}`)
	file := strings.NewReplacer("/var/lib/guestlist", "DIR", "path: guests", "path: policies").Replace(block[1])
	got, err := parseIn(dir, file)
	if err != nil {
		t.Fatalf("the configuration of the README: %v", err)
	}
	plain, err := parseIn(dir, minimalConfig)
	if err != nil {
		t.Fatal(err)
	}
	shown := []any{got.CIMD, got.Lifetimes, got.Log, got.Policies.Watch, got.DecisionLog.Stdout, got.Resources[0].TokenFormat, got.Resources[0].SigningAlg}
	want := []any{plain.CIMD, plain.Lifetimes, plain.Log, plain.Policies.Watch, plain.DecisionLog.Stdout, plain.Resources[0].TokenFormat, plain.Resources[0].SigningAlg}
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("defaults of the README: %+v, want %+v", shown, want)
	}
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(strings.Replace(block[1], "# insecure_host_map", "insecure_host_map", 1)), &tree); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	pathsOf("", tree, there)
	named := func(path string) {
		_, err := parseIn(dir, strings.ReplaceAll(path, ".", ": {")+": 1"+strings.Repeat("}", strings.Count(path, "."))+"\n")
		absent := err != nil && strings.Contains(err.Error(), path+": is not available yet")
		if there[path] == absent {
			t.Errorf("%s: in the README %v, refused as not available %v", path, there[path], absent)
		}
	}
	eachValue("", (&config{CIMD: plain.CIMD}).members(), func(path string, m configMember) {
		named(path)
		if m.env != "" && !strings.Contains(text, "`"+m.env+"`") {
			t.Errorf("the README does not name %s", m.env)
		}
	})
	for name := range (&resourceConfig{}).members() {
		named("resources." + name)
	}
	for name := range (&exporterConfig{}).members() {
		named("decision_log.exporters." + name)
	}
	for name := range (&webhookConfig{}).members() {
		named("webhooks." + name)
	}
}

// pathsOf collects the paths of what tree says, those of a list's items
// without a number.
func pathsOf(path string, tree any, into map[string]bool) {
	into[path] = true
	switch v := tree.(type) {
	case map[string]any:
		for name, below := range v {
			pathsOf(joinPath(path, name), below, into)
		}
	case []any:
		for _, below := range v {
			pathsOf(path, below, into)
		}
	}
}
