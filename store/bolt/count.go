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

// countKeys are the counts that a row is part of.
func countKeys(domain string, policies []string) []string {
	keys := []string{allClients}
	if domain != "" { // a row of an earlier program has none
		keys = append(keys, domain)
	}
	for _, p := range policies {
		keys = append(keys, policyCount(p))
	}
	return keys
}

// policyCount is the key of a policy's count; no domain begins so.
func policyCount(policy string) string { return "=" + policy }

// count adds to every count that a row is part of.
func (t *txn) count(domain string, policies []string, by int) error {
	for _, key := range countKeys(domain, policies) {
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

// ClientCount returns how many clients have a row.
func (u *unit) ClientCount(ctx context.Context, domain string, policies []string) (broker.Caps, error) {
	var have broker.Caps
	err := u.s.read(ctx, func(v view) (err error) {
		if have.Total, err = v.clients(allClients); err != nil {
			return err
		}
		if domain != "" {
			if have.PerDomain, err = v.clients(domain); err != nil {
				return err
			}
		}
		for _, p := range policies {
			n, err := v.clients(policyCount(p))
			if err != nil {
				return err
			}
			have.PerPolicy = max(have.PerPolicy, n)
		}
		return nil
	})
	return have, err
}

// CapClients stages the precondition that there is room for one more client.
func (u *unit) CapClients(domain string, policies []string, caps broker.Caps) {
	u.require(func(t *txn) error {
		for _, key := range countKeys(domain, policies) {
			most := caps.PerPolicy
			switch key {
			case allClients:
				most = caps.Total
			case domain:
				most = caps.PerDomain
			}
			n, err := t.clients(key)
			if err != nil {
				return err
			}
			if n >= most {
				return conflict("there are %d clients of %s, at most %d are let in", n, quoted(key), most)
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
		c, _, err := load[life](t.view, clientBucket, key)
		for _, key := range countKeys(c.Domain, c.Policy) {
			counts[key]++
		}
		return err
	})
	if err != nil {
		return err
	}
	for key, n := range counts {
		if err := t.save(countBucket, []byte(key), countRow{n}); err != nil {
			return err
		}
	}
	return nil
}
