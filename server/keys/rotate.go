package keys

import (
	"fmt"
	"slices"
	"time"

	"guestlist/broker/disk"
)

// maxKeys bounds the keys of one algorithm, so that rotating in a loop cannot
// make a key set that clients choke on.
const maxKeys = 16

// Rotate adds a new key for every algorithm of a set, "signing" or "sealing".
// It is published at once and used after PublishFor; the key before it retires
// then, and is gone RetireAfter later. Another rotation meanwhile starts its own
// wait and cuts none short. Keys that are gone leave the file.
//
// The pseudonym key is never rotated: a new one gives everybody a second name
// and so cuts the decision log in two, which only Destroy does, on purpose. Processes that rotate at once wait
// for each other. On an error the keys in use stay what they were.
func (k *Keys) Rotate(purpose string) error {
	var s *source
	switch purpose {
	case purposeSigning:
		s = k.signing
	case purposeSealing:
		s = k.sealing
	case purposePseudonym:
		return fmt.Errorf("the pseudonym key is never rotated: records of one person before and after could not be brought together; rotate %s or %s",
			purposeSigning, purposeSealing)
	default:
		return fmt.Errorf("no keys have the purpose %.40q; rotate %s or %s", purpose, purposeSigning, purposeSealing)
	}
	if err := s.update(s.rotate); err != nil {
		return fmt.Errorf("rotate the %s key: %w", purpose, err)
	}
	return nil
}

// update changes the file under its lock, from what is in it and not from what
// this process knows. Keys that are gone are left out.
func (s *source) update(change func(entries []entry, now time.Time) ([]entry, error)) error {
	unlock, err := disk.Lock(s.path)
	if err != nil {
		return fmt.Errorf("lock key file %s: %w", s.path, err)
	}
	defer unlock()
	before, _, err := s.read()
	if err != nil {
		return err
	}
	now := s.cfg.Now().UTC().Truncate(time.Second)
	after, err := change(s.tidy(before, now), now)
	if err != nil {
		return err
	}
	if _, err := s.build(after); err != nil {
		return err
	}
	if err := replace(s.path, s.purpose, after); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = nil
	return s.reloadLocked()
}

// tidy leaves out what is gone, and settles what a file of format 1 leaves
// open: its published keys made nothing and go, its retired keys stay for the
// full time from now.
func (s *source) tidy(entries []entry, now time.Time) []entry {
	var kept []entry
	for _, e := range entries {
		if e.gone(now) || e.SignsFrom.IsZero() {
			continue
		}
		if !e.RetiresAt.IsZero() && e.GoneAt.IsZero() {
			e.GoneAt = now.Add(s.cfg.RetireAfter)
		}
		kept = append(kept, e)
	}
	return kept
}

// rotate gives every algorithm a successor. No key may wait longer than the new
// one: times beyond its own come from a clock that was wrong.
func (s *source) rotate(entries []entry, now time.Time) ([]entry, error) {
	from := now.Add(s.cfg.PublishFor)
	gone := from.Add(s.cfg.RetireAfter)
	have := map[string]int{}
	var algorithms []string
	for i := range entries {
		e := &entries[i]
		if have[e.Algorithm]++; have[e.Algorithm] == 1 {
			algorithms = append(algorithms, e.Algorithm)
		}
		if e.SignsFrom.After(from) {
			e.SignsFrom = from
		}
		if e.RetiresAt.IsZero() || e.RetiresAt.After(from) {
			e.RetiresAt, e.GoneAt = from, gone
		}
	}
	for _, algorithm := range algorithms {
		if have[algorithm] >= maxKeys {
			return nil, fmt.Errorf("it holds %d keys for %s already; the next one goes at %s: rotate then",
				have[algorithm], algorithm, firstGone(entries, algorithm).Format(time.RFC3339))
		}
		next, err := fresh(algorithm, now, from)
		if err != nil {
			return nil, err
		}
		entries = append(entries, next)
	}
	return entries, nil
}

// firstGone is when the first key of an algorithm goes. All of them have an end.
func firstGone(entries []entry, algorithm string) time.Time {
	var ends []time.Time
	for _, e := range entries {
		if e.Algorithm == algorithm {
			ends = append(ends, e.GoneAt)
		}
	}
	return slices.MinFunc(ends, time.Time.Compare)
}
