package signin

// Tracked returns how many accounts and sources the throttle remembers.
func (p *People) Tracked() (accounts, sources int) {
	p.throttle.mu.Lock()
	defer p.throttle.mu.Unlock()
	return len(p.throttle.accounts.full), len(p.throttle.sources.full)
}

// Occupy takes all places in which hashes run, until release, which frees one.
func (p *People) Occupy() (release func()) {
	for range cap(p.hashing) {
		p.hashing <- struct{}{}
	}
	return func() { <-p.hashing }
}

// Places returns how many hashes may run at once.
func (p *People) Places() int { return cap(p.hashing) }
