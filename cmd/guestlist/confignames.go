package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"guestlist/policies"
)

// envPrefix begins every variable that this program reads.
const envPrefix = "GUESTLIST_"

// environment lets variables override members of the file. A variable of ours
// that overrides nothing is a misspelling and refused.
func (r *configReader) environment(environ []string, members map[string]configMember) {
	r.dir = "" // paths in variables are relative to the working directory
	paths := map[string]string{}
	readers := map[string]valueReader{}
	eachValue("", members, func(path string, m configMember) {
		if m.env != "" {
			paths[m.env], readers[m.env] = path, m.value
		}
	})
	environ = slices.Clone(environ)
	slices.Sort(environ)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || name == configEnv || isClusterVariable(name, value) {
			continue
		}
		path, known := paths[name]
		if !known {
			r.problems = append(r.problems, configProblem{0, "environment " + name + ": unknown variable" +
				didYouMean(policies.Closest(name, slices.Sorted(maps.Keys(paths)))) + ". Remedy: unset it, or put the setting in the file"})
			continue
		}
		r.env[path] = name
		readers[name](r, path, &ast.StringNode{BaseNode: &ast.BaseNode{}, Value: value})
	}
}

// isClusterVariable recognises what Kubernetes puts into the environment of
// every container when a Service is called guestlist.
func isClusterVariable(name, value string) bool {
	return strings.HasPrefix(name, envPrefix+"SERVICE_") || strings.HasPrefix(name, envPrefix+"PORT_") ||
		name == envPrefix+"PORT" && strings.Contains(value, "://")
}

// eachValue calls do for every value below members, with its path.
func eachValue(path string, members map[string]configMember, do func(path string, m configMember)) {
	for key, m := range members {
		at := joinPath(path, key)
		if m.section != nil {
			eachValue(at, m.section, do)
			continue
		}
		do(at, m)
	}
}

// meantMember returns the paths that were perhaps meant by key, which is none
// of members: a similar name, or, at the top, the same name in a section.
func meantMember(path, key string, members map[string]configMember) []string {
	if near := policies.Closest(key, slices.Sorted(maps.Keys(members))); near != "" {
		return []string{joinPath(path, near)}
	}
	if path != "" {
		return nil
	}
	var same []string
	eachValue("", members, func(at string, _ configMember) {
		if strings.HasSuffix(at, "."+strings.ReplaceAll(strings.ToLower(key), "-", "_")) {
			same = append(same, at)
		}
	})
	slices.Sort(same)
	return same
}

func didYouMean(names ...string) string {
	meant := strings.Join(names, " or ")
	if meant == "" {
		return ""
	}
	return " (did you mean " + meant + "?)"
}
