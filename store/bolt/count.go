package bolt

import (
	"context"

	"guestlist/broker"
)

// allClients is the key of the count of every client; no domain is called so.
const allClients = "*"

// countRow is how many clients there are.
type countRow struct {
	Clients int `json:"clients"`
}

// clients returns the count under key.
func (v view) clients(key string) (int, error) {
	row, _, err := load[countRow](v, countBucket, []byte(key))
	return row.Clients, err
}

// count adds to the count of every client, and to that of a domain.
func (t *txn) count(domain string, by int) error {
	for _, key := range []string{allClients, domain} {
		if key == "" {
			continue // a row of an earlier program
		}
		n, err := t.clients(key)
		if err != nil {
			return err
		}
		if n += by; n > 0 {
			err = t.save(countBucket, []byte(key), countRow{n})
		} else {
			err = t.del(countBucket, []byte(key))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// uncount takes the client's row, if there is one, out of the counts.
func (t *txn) uncount(id string) error {
	row, ok, err := load[life](t.view, clientBucket, []byte(id))
	if err != nil || !ok {
		return err
	}
	return t.count(row.Domain, -1)
}

// ClientCount returns how many clients have a row.
func (u *unit) ClientCount(ctx context.Context, domain string) (total, ofDomain int, err error) {
	err = u.s.read(ctx, func(v view) (err error) {
		if total, err = v.clients(allClients); err == nil && domain != "" {
			ofDomain, err = v.clients(domain)
		}
		return err
	})
	return total, ofDomain, err
}

// CapClients stages the precondition that there is room for one more client.
func (u *unit) CapClients(domain string, total, perDomain int) {
	u.require(func(t *txn) error {
		for _, c := range []struct {
			key string
			cap int
		}{{allClients, total}, {domain, perDomain}} {
			if c.key == "" {
				continue
			}
			n, err := t.clients(c.key)
			if err != nil {
				return err
			}
			if n >= c.cap {
				return conflict("there are %d clients of %s, at most %d are let in", n, quoted(c.key), c.cap)
			}
		}
		return nil
	})
}

// countClients counts every row anew.
func (t *txn) countClients() error {
	bk, err := t.bucket(clientBucket)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	err = bk.ForEach(func(key, _ []byte) error {
		c, _, err := load[broker.Client](t.view, clientBucket, key)
		counts[allClients]++
		counts[c.Domain]++
		return err
	})
	if err != nil {
		return err
	}
	delete(counts, "")
	for key, n := range counts {
		if err := t.save(countBucket, []byte(key), countRow{n}); err != nil {
			return err
		}
	}
	return nil
}
