package policies

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
)

// meets of single members. Each is commutative and idempotent, and its result
// allows nothing that one of the sides does not allow.

func both(a, b bool) bool   { return a && b }
func either(a, b bool) bool { return a || b }

func smaller[T cmp.Ordered](a, b T) T { return min(a, b) }

// firstOf keeps the word that stands earlier in order, strictest first. A word
// that is not in the order ("" for no word) gives way.
func firstOf(order ...string) func(a, b string) string {
	return func(a, b string) string {
		i, j := slices.Index(order, a), slices.Index(order, b)
		if j < 0 || i >= 0 && i <= j {
			return a
		}
		return b
	}
}

// common keeps what both lists hold, in the order of the alphabet.
func common(a, b []string) []string {
	out := []string{}
	for _, v := range a {
		if slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// commonOrAny is common where nil stands for "no bound".
func commonOrAny(a, b []string) []string {
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil:
		return common(b, b)
	case b == nil:
		return common(a, a)
	}
	return common(a, b)
}

// commonOrEmpty is common where an empty list stands for the strict value; see
// terms for what that leaves open.
func commonOrEmpty(a, b []string) []string {
	switch {
	case len(a) == 0:
		return common(b, b)
	case len(b) == 0:
		return common(a, a)
	}
	return common(a, b)
}

// union keeps what either list holds.
func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	if out == nil {
		out = []string{}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// commonCIDRs keeps the addresses that both lists of prefixes hold.
func commonCIDRs(a, b []string) []string {
	out := []string{}
	for _, s := range a {
		for _, t := range b {
			p, errP := netip.ParsePrefix(s)
			q, errQ := netip.ParsePrefix(t)
			if errP != nil || errQ != nil || !p.Overlaps(q) {
				continue
			}
			if p.Bits() < q.Bits() {
				p = q
			}
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameOrNone keeps a word that both sides give.
func sameOrNone(a, b string) string {
	if a == b {
		return a
	}
	return ""
}

// sameEntries keeps the entries that both sides give alike.
func sameEntries(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.DeleteFunc(out, func(k string, v any) bool {
		w, ok := b[k]
		return !ok || !reflect.DeepEqual(v, w)
	})
	if out == nil {
		out = map[string]any{}
	}
	return out
}
