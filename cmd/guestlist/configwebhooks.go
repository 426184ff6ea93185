package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker/fetch"
	"guestlist/policies"
)

// webhookConfig is a receiver that is told of what the decision log says.
type webhookConfig struct {
	URL        string   // https, or http where loopback holds
	Events     []string // some of webhookKinds; empty: all
	SecretFile string   // the secret that posts are signed with
	PerMinute  int64    // events told one by one; zero: webhookPerMinute
}

// The bounds of webhooks.
const (
	webhookPerMinute    = 60
	webhookPerMinuteMax = 600
	maxWebhooks         = 8
)

func (c *webhookConfig) members() map[string]configMember {
	return map[string]configMember{
		"url":         {value: textValue(&c.URL)},
		"events":      {value: textsValue(&c.Events)},
		"secret_file": {value: fileValue(&c.SecretFile)},
		"per_minute":  {value: integerValue(&c.PerMinute)},
	}
}

// checkWebhooks completes and checks the receivers.
func (r *configReader) checkWebhooks(c *config) {
	if n := len(c.Webhooks); n > maxWebhooks {
		r.fault("webhooks", "let one receiver pass it on", "there are %d, at most %d are told", n, maxWebhooks)
		return
	}
	first := map[string]int{}
	for i := range c.Webhooks {
		at := fmt.Sprintf("webhooks[%d]", i)
		h := &c.Webhooks[i]
		if r.isBad(at) {
			continue
		}
		r.checkSinkURL(at+".url", h.URL, "write https://hooks.corp.example/guestlist", c.loopback())
		if other, taken := first[h.URL]; taken && h.URL != "" {
			r.fault(at+".url", "give one all the events", "is that of webhooks[%d]", other)
		}
		first[h.URL] = i
		r.checkWebhookEvents(at, h)
		if r.need(at+".secret_file", h.SecretFile, "name a file of random characters, for instance from: openssl rand -base64 32") {
			r.checkWebhookSecret(at+".secret_file", h.SecretFile)
		}
		if !r.given(at + ".per_minute") {
			h.PerMinute = webhookPerMinute
		}
		if h.PerMinute < 1 || h.PerMinute > webhookPerMinuteMax {
			r.fault(at+".per_minute", fmt.Sprintf("write a number from 1 to %d", webhookPerMinuteMax), "%d is not from 1 to %d", h.PerMinute, webhookPerMinuteMax)
		}
	}
}

// checkSinkURL checks the address of what the operator has told; remedy shows
// one.
func (r *configReader) checkSinkURL(at, url, remedy string, loopback bool) {
	if !r.need(at, url, remedy) {
		return
	}
	door, err := fetch.NewOperator(fetch.OperatorConfig{InsecureHTTP: loopback})
	if err == nil {
		err = door.CheckURL(url)
	}
	if err != nil {
		r.fault(at, remedy, "%v", err)
	}
}

func (r *configReader) checkWebhookEvents(at string, h *webhookConfig) {
	if len(h.Events) == 0 {
		h.Events = slices.Clone(webhookKinds)
	}
	for i, kind := range h.Events {
		path := fmt.Sprintf("%s.events[%d]", at, i)
		switch {
		case !slices.Contains(webhookKinds, kind):
			r.fault(path, "write some of "+strings.Join(webhookKinds, ", "), "%q is nothing that webhooks are told of%s", kind, didYouMean(policies.Closest(kind, webhookKinds)))
		case slices.Contains(h.Events[:i], kind):
			r.fault(path, "remove one", "%s is there twice", kind)
		}
	}
}

func (r *configReader) checkWebhookSecret(at, file string) {
	const remedy = "put random characters in it, for instance from: openssl rand -base64 32"
	secret, err := secretText(file)
	switch {
	case err != nil:
		r.fault(at, remedy, "%v", err)
	case len(secret) < longSecret:
		r.fault(at, remedy, "the secret has %d characters and can be guessed, want at least %d", len(secret), longSecret)
	}
}

// webhooksOf turns checked receivers into what an app runs. They leave by the
// operator door, verified by roots; nil means the system's.
func webhooksOf(c config, roots *x509.CertPool) ([]*webhook, error) {
	door, err := fetch.NewOperator(fetch.OperatorConfig{RootCAs: roots, InsecureHTTP: c.loopback()})
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	var out []*webhook
	for _, h := range c.Webhooks {
		secret, err := secretText(h.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
		sum := sha256.Sum256([]byte(h.URL))
		out = append(out, &webhook{
			name: "webhook:" + hex.EncodeToString(sum[:8]), url: h.URL, secret: []byte(secret),
			kinds: h.Events, perMinute: int(h.PerMinute), issuer: c.Issuer, post: door.Post,
		})
	}
	return out, nil
}
