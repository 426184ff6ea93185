package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"guestlist/broker"
	"guestlist/broker/fetch"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
	"guestlist/server/admin"
)

// stage is the server, as far as it is known, and what is not known of it.
func (f evalFlags) stage(ctx context.Context, set *policies.Set, cfg *config, clientID string) (rehearsal.Stage, []string) {
	s := rehearsal.Stage{Policy: set, Issuer: f.issuer, Zone: time.Local, Explain: true}
	if cfg != nil {
		s.Cache = broker.CacheBounds{Floor: cfg.CIMD.CacheFloor.Std(), Default: cfg.CIMD.CacheDefault.Std(), Ceiling: cfg.CIMD.CacheCeiling.Std()}
		s.Registered, s.AdmitOff, s.Offer = cfg.Clients, !*cfg.CIMD.Admit, offer(resourcesOf(*cfg))
		return s, askServer(ctx, *cfg, clientID, &s)
	}
	var resources []broker.Resource
	for _, id := range f.resource {
		resources = append(resources, broker.Resource{ID: id, Name: id})
	}
	if len(resources) == 0 {
		resources = []broker.Resource{{ID: "https://resource.example", Name: "example"}}
	}
	s.Offer = offer(resources)
	return s, []string{"maxima, resources, registered clients, pins, blocks and caps of a server are not known here; add --config FILE for them"}
}

// serverPatience bounds what policy eval waits for a running server.
const serverPatience = 5 * time.Second

// askServer takes blocks and the client's pin from the running server of the
// configuration, and says what does not count.
func askServer(ctx context.Context, cfg config, clientID string, s *rehearsal.Stage) []string {
	const rest = "its caps and budgets, and what it stored of the client, do not count"
	if cfg.Admin.Socket == "" {
		return []string{"blocks and pins are not known: the configuration sets no admin.socket to ask the server by"}
	}
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	api := admin.NewClient(cfg.Admin.Socket)
	blocks, err := api.Blocks(ctx)
	if nobody := (*admin.NoServer)(nil); errors.As(err, &nobody) {
		return []string{"blocks and pins are not known: no server answers on " + cfg.Admin.Socket}
	}
	if err != nil {
		return []string{"blocks and pins are not known: " + err.Error()}
	}
	s.Blocks = blocks
	client, err := api.Show(ctx, clientID)
	if refusal := (*admin.Refusal)(nil); errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return []string{"blocks and pins are those of the running server; " + rest}
	}
	if err != nil {
		return []string{"blocks are those of the running server; whether the client is pinned is not known: " + err.Error()}
	}
	if p := client.Pin; p != nil {
		s.Pin = &broker.Pin{ID: clientID, Published: []byte(p.Published), SHA256: p.SHA256, Actor: p.Actor, At: p.At}
		return []string{fmt.Sprintf("%s pinned the client on the running server: that document counts, no other; %s", p.Actor, rest)}
	}
	return []string{"blocks and pins are those of the running server; " + rest}
}

// evalDoor is the server's door for documents, by its configuration where that
// is given, with the time of the scene.
func evalDoor(cfg *config, at time.Time) (*fetch.Guarded, error) {
	var c fetch.Config
	if cfg != nil {
		var err error
		if c, err = cfg.Outbound.fetching(); err != nil {
			return nil, err
		}
		c.Timeout, c.Retries = cfg.CIMD.Timeout.Std(), int(cfg.CIMD.Retries)
	}
	c.Now = func() time.Time { return at }
	return fetch.New(c)
}
