package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
	"guestlist/broker/fetch"
	"guestlist/policies"
	"guestlist/server"
	"guestlist/server/admin"
	"guestlist/server/grants"
	"guestlist/server/keys"
	"guestlist/server/metrics"
	"guestlist/server/pages"
	"guestlist/server/signin"
	"guestlist/server/tracing"
	"guestlist/store"
	"guestlist/store/bolt"
)

// plan is everything an app is built from, with no file left to read but the
// ones it names.
type plan struct {
	issuer    string
	storePath string
	reserve   int64 // of the store; see bolt.Config
	keysDir   string
	people    string
	facts     string // file; empty: every fact has its default
	policies  fs.FS  // read again at every reload
	source    string // names policies in records and log lines
	fetching  fetch.Config
	maxima    map[string]any
	resources []broker.Resource
	secrets   map[string]server.Secret // by resource id
	short     []string                 // resources whose secret is short
	lifetimes server.Lifetimes
	cache     broker.CacheBounds
	budgets   broker.Budgets // zero: the defaults
	caps      broker.Caps    // zero: the defaults
	look      time.Duration  // between two looks at one document; zero: none
	clients   []broker.Registered
	admitOff  bool
	hidden    bool
	insecure  bool
	help      helpConfig
	webhooks  []*webhook                          // not started; the app completes them
	exporters []exporterPlan                      // copies of the decision log
	retain    map[decisionlog.Class]time.Duration // how long bodies are kept; a class without one: for ever
	trusted   []netip.Prefix                      // proxies
	tracing   *tracing.Config                     // nil: nothing is traced; the app completes it
}

// app is one running Guestlist without its listeners.
type app struct {
	plan    plan
	log     zerolog.Logger
	file    *bolt.Store // where store is kept
	store   store.Store
	batch   *decisionlog.Batch
	broker  *broker.Broker
	keys    *keys.Keys
	people  *signin.People
	server  *server.Server
	admin   http.Handler
	metrics *metrics.Metrics
	tracing *tracing.Tracing // nil: nothing is traced
	loading sync.Mutex       // one reload at a time, so that the newest wins
	tree    string           // of the policies as last read; guarded by loading
	active  atomic.Pointer[inForce]
	refused atomic.Pointer[refusedLoad]  // nil: the last load was not refused
	masking atomic.Pointer[policies.Set] // says what of a record is not kept
	facts   atomic.Pointer[factsInForce]

	factsProblem atomic.Pointer[string]   // why the facts file is not in force
	roomProblem  atomic.Pointer[string]   // why it is not known how much room the store has; empty: it is
	unmasked     atomic.Pointer[unmasked] // nil: every record could be masked
	exporters    []*export.Exporter       // running once export was called
	retainer     *retainer
}

// open assembles an app and activates its policies; a directory that does
// not load is an error here and changes nothing later.
func open(ctx context.Context, p plan, log zerolog.Logger) (*app, error) {
	a := &app{plan: p, log: log}
	rs256 := slices.ContainsFunc(p.resources, func(r broker.Resource) bool { return r.SigningAlg == "RS256" })
	k, err := keys.Open(keys.Config{Dir: p.keysDir, Now: time.Now, RS256: rs256})
	if err != nil {
		return nil, err
	}
	a.keys = k
	people, err := signin.Open(signin.Config{File: p.people, Now: time.Now, Reloaded: func(n int, err error) {
		a.configReloaded(fmt.Sprintf("people.file %s: %d people", p.people, n), err)
	}})
	if err != nil {
		return nil, err
	}
	for _, name := range p.short {
		log.Warn().Str("event", "resource.short_secret").Str("resource", name).Msg("a secret of less than 22 characters can be guessed. Remedy: openssl rand -base64 32")
	}
	for _, id := range urlShaped(p.clients) {
		log.Warn().Str("event", "client.registered_url").Str("client_id", id).Msg("a registered client whose name is a URL: the document published there does not count, and is not fetched")
	}
	a.people = people
	if people.Count() == 0 {
		log.Warn().Str("event", "people.none").Str("file", p.people).Msg("nobody can sign in. Remedy: guestlist person add NAME --password-stdin --config FILE")
	}
	door, err := fetch.New(p.fetching)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.measure(), a.trace()); err != nil {
		return nil, err
	}
	if a.file, err = bolt.Open(a.storeConfig()); err != nil {
		return nil, err
	}
	a.store = a.file
	if err := a.assemble(k, people, door); err != nil {
		a.store.Close()
		return nil, err
	}
	a.lookForRoom(ctx)
	if err := errors.Join(a.prepareExport(), a.reload(ctx, byStart)); err != nil {
		a.close(ctx)
		return nil, err
	}
	return a, nil
}

// compacted logs what came of compacting the store at start.
func (a *app) compacted(c bolt.Compaction) {
	line, event, text := a.log.Info(), "store.compacted", "more than half of the store's file was free"
	if c.Err != nil {
		line, event, text = a.log.Warn().Err(c.Err), "store.compaction_failed", "the file stays in use as it is. Remedy: free as much space as it takes, and restart"
	}
	line.Str("event", event).Int64("bytes_before", c.Before).Int64("bytes_after", c.After).Msg(text)
}

// assemble builds what stands on the store.
func (a *app) assemble(k *keys.Keys, people *signin.People, door *fetch.Guarded) error {
	var err error
	p := a.plan
	if a.batch, err = decisionlog.NewBatch(decisionlog.BatchConfig{
		Single: broker.Single, Short: func() bool { return a.store.Room().Short() }, Commit: store.Log{Store: a.store}.Append,
	}); err != nil {
		return err
	}
	a.broker, err = broker.New(broker.Config{
		Issuer: p.issuer, Fetch: door, Later: a.batch.Add, Pseudonym: k.Pseudonym, Now: time.Now,
		Zone: time.Local, Offer: offer(p.resources), AdmitOff: p.admitOff, Cache: p.cache, Budgets: p.budgets, Caps: p.caps, Registered: p.clients,
		Observe: a.observeBroker(), Room: a.store.Room, Lives: broker.Lives{Ticket: p.lifetimes.Ticket, Code: p.lifetimes.Code},
	})
	if err != nil {
		return err
	}
	engine, err := grants.New(grants.Config{Issuer: p.issuer, Signer: k, Now: time.Now, CodeTTL: p.lifetimes.Code, Fetch: door})
	if err != nil {
		return err
	}
	look, err := pages.New(pages.Config{Ask: p.help.Ask, AskURL: p.help.URL})
	if err != nil {
		return err
	}
	a.server, err = server.New(server.Config{
		Issuer: p.issuer, Store: a.store, Broker: a.broker, Grants: engine, Keys: k, Pages: look, People: people,
		Batch: a.batch, Resources: p.resources, Secrets: p.secrets, Lifetimes: p.lifetimes, Hidden: p.hidden, Insecure: p.insecure,
		TrustedProxies: p.trusted, Observe: a.observeServer(),
		Log: a.log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	reload := func(ctx context.Context) error { return a.reload(ctx, admin.Actor(ctx)) }
	rotate := func(_ context.Context, purpose string) error { return k.Rotate(purpose) }
	destroy := func(_ context.Context, purpose string) error { return k.Destroy(purpose) }
	a.retainer = a.newRetainer(context.Background())
	a.admin, err = admin.New(admin.Config{
		Metrics: a.metrics.Handler(), Ready: a.readiness,
		Store: a.store, Flush: a.batch.Flush, Later: a.batch.Keep, Now: time.Now, Log: a.log, Status: a.status, Policies: a.policyList, PolicyStatus: a.policyState, Story: a.story, Reload: reload, Rotate: rotate, Destroy: destroy, Broker: a.broker, Pseudonym: k.Pseudonym,
	})
	return err
}

// offer is what this server can do for any client.
func offer(resources []broker.Resource) broker.Offer {
	return broker.Offer{
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		AuthMethods: grants.AuthMethods(), SigningAlgs: grants.SigningAlgs(), Resources: resources,
	}
}

// status is what the admin API says about this process.
func (a *app) status(ctx context.Context) any {
	out := map[string]any{
		"issuer": a.plan.issuer, "insecure": a.plan.insecure, "revision": a.broker.Revision(), "policies": a.plan.source,
		"store": filepath.Base(a.plan.storePath), "admit": !a.plan.admitOff, "advertise": !a.plan.hidden,
		"people": a.people.Count(),
	}
	out["admit_means"], out["advertise_means"] = switches(!a.plan.admitOff, !a.plan.hidden)
	if p := a.plan.fetching.Proxy; p.URL != "" {
		out["egress_proxy"], out["guard"] = p.URL, guardOf(p)
	}
	if p := a.refused.Load(); p != nil {
		out["policy_problem"] = p.text
	}
	a.factsStatus(out)
	if err, _ := a.storeTrouble(); err != nil {
		out["store_problem"] = err.Error()
	}
	if err := a.keys.Problem(); err != nil {
		out["keys_problem"] = err.Error()
	}
	if err := a.people.Problem(); err != nil {
		out["people_problem"] = err.Error()
	}
	if err := a.batch.Failure(); err != nil {
		out["log_problem"] = err.Error()
	}
	if err := a.maskTrouble(); err != nil {
		out["mask_problem"] = err.Error()
	}
	a.exportStatus(ctx, out)
	a.retainer.status(out)
	for _, w := range a.plan.webhooks {
		if p := w.problem.Load(); p != nil {
			out[strings.ReplaceAll(w.name, ":", "_")+"_problem"] = *p
		}
	}
	return out
}

// notify starts the webhooks and returns how to await their end.
func (a *app) notify(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	for _, w := range a.plan.webhooks {
		w.log, w.sights, w.trouble = store.Log{Store: a.store}, sights{a.store}, a.log
		running.Go(func() { steadily(ctx, a.log, w.name, func() { w.run(ctx) }) })
	}
	return running.Wait
}

// close writes what is held and releases the store.
func (a *app) close(ctx context.Context) error {
	if a.tracing != nil {
		_ = a.tracing.Close(ctx) // spans that nobody takes now are lost, as any others
	}
	return errors.Join(a.batch.Close(ctx), a.store.Close())
}

// summarised says how far the store's records are summarised, while a file of
// an earlier format is opened.
func (a *app) summarised(done, all uint64) {
	a.log.Info().Str("event", "store.summarised").Uint64("records", done).Uint64("of", all).Send()
}
