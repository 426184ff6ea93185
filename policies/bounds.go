package policies

// Bounds of one set, over all its roots' files, so that a directory that went
// wrong (a list written by a loop, a checkout in the wrong place) is refused
// with a finding and never takes the memory of the server. They are far above
// any guest list; what a row and a policy cost is in the README's figures.
const (
	maxFiles    = 20_000    // files of a root, those that are not read included
	maxTotal    = 256 << 20 // bytes of all files that are read, of a root
	maxPackages = 10_000    // packages of a root
	maxRows     = 1_000_000 // rows of all lists that policies of a root name
	maxWild     = 1_000     // patterns with * or ** in the path, of one host: each decision about it tries them all
	maxFindings = 200       // findings of each severity that are told
)

// tooLarge is the remedy of what goes beyond the bounds.
const tooLarge = "look whether the directory holds what does not belong there; else serve several guest lists"

// outgrown refuses a root, or the lists in it, that go beyond a bound.
func (s *source) outgrown(out *report, what string, limit int) {
	out.fail(s.label+".", 0, "set_too_large", tooLarge, "the policy directory has more than %d %s", limit, what)
}

// crowded refuses hosts with more wildcard paths than a decision may try.
func (x *index) crowded(out *report) {
	for _, m := range []map[string]*bucket{x.hosts, x.domains} {
		for host, b := range m {
			if len(b.wild) > maxWild {
				p := b.wild[maxWild].policy
				out.fail(p.file, p.line, "host_crowded", "name the exact paths, which cost nothing, or fewer wildcards",
					"host %s has %d patterns with a wildcard in the path, at most %d", host, len(b.wild), maxWild)
			}
		}
	}
}
