package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
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
				didYouMean(closestName(name, slices.Sorted(maps.Keys(paths)))) + ". Remedy: unset it, or put the setting in the file"})
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
	if near := closestName(key, slices.Sorted(maps.Keys(members))); near != "" {
		return []string{joinPath(path, near)}
	}
	if path != "" {
		return nil
	}
	var same []string
	eachValue("", members, func(at string, _ configMember) {
		if strings.HasSuffix(at, "."+plainName(key)) {
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

// plainName ignores what people confuse first.
func plainName(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// closestName returns the one of names, which are sorted, that is most like name, or nothing if none
// is: a third of it may differ, three letters at most.
func closestName(name string, names []string) string {
	best, limit := "", min(len(name)/3, 3)+1
	for _, candidate := range names {
		if d := editDistance(plainName(name), plainName(candidate)); d < limit {
			best, limit = candidate, d
		}
	}
	return best
}

// editDistance is the number of single-letter edits between a and b.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
