// Package metrics counts what the program does, for Prometheus. It is the only
// one that knows the Prometheus client.
//
// Label sets are closed (requirement G-30): a label is a constant of this
// program, a policy's name or a name of the configuration, never anything that
// a stranger sent. What is in none of its sets counts under "other", so that a
// new value elsewhere costs one series and not one for each value.
package metrics

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"guestlist/broker"
)

// Config is what New needs. All fields are required.
type Config struct {
	Version string // of this program, for guestlist_build_info
	Go      string // version of Go it was made with
	// State is asked at every scrape, under its deadline.
	State func(ctx context.Context) State
}

// Metrics counts. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	refusals       *prometheus.CounterVec

	decisions       *prometheus.CounterVec
	decisionSeconds *prometheus.HistogramVec
	documents       *prometheus.CounterVec

	fetches      *prometheus.CounterVec
	fetchSeconds prometheus.Histogram
	spent        *prometheus.CounterVec

	commitSeconds prometheus.Histogram
	commitUnits   prometheus.Histogram
	commitErrors  prometheus.Counter

	reasons, public set
	policies        policies
}

// The buckets of durations in seconds: of what waits for nobody, and of what
// waits for a disk or for another host.
var (
	quickBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	diskBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
	unitBuckets  = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// New checks cfg and makes every metric, those of closed sets at zero, so that
// a rate is right from the first event on.
func New(cfg Config) (*Metrics, error) {
	if cfg.State == nil {
		return nil, errors.New("metrics: no state")
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), reasons: reasonSet(), public: publicSet(), policies: policies{names: set{}},
		requests:        counters("http_requests_total", "Requests that were answered, by endpoint and class of status.", "route", "status"),
		requestSeconds:  histograms("http_request_duration_seconds", "From a request's arrival to its answer.", quickBuckets, "route"),
		refusals:        counters("refusals_total", "Requests that were refused, by the true reason.", "reason"),
		decisions:       counters("decisions_total", "Admission decisions, by outcome, public reason, last phase and winning policy.", "outcome", "reason", "phase", "policy"),
		decisionSeconds: histograms("decision_duration_seconds", "Time of an admission decision, fetches included.", quickBuckets, "phase"),
		documents:       counters("documents_total", "Starts of a flow in which a document was judged, by where it came from: the ratio of store is the hit rate.", "from"),
		fetches:         counters("fetches_total", "Fetches of documents that were made, by result: fetched, not_modified, or the reason of the failure.", "outcome"),
		fetchSeconds:    histogram("fetch_duration_seconds", "Time of a document's fetch, retries and parsing included.", quickBuckets),
		spent:           counters("budget_refusals_total", "Fetches that were refused before the network, by the budget that was spent.", "budget"),
		commitSeconds:   histogram("commit_duration_seconds", "Time of a store transaction, from when its units were taken to when it was durable.", diskBuckets),
		commitUnits:     histogram("commit_units", "Units of work that shared one store transaction.", unitBuckets),
		commitErrors:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "commit_failures_total", Help: "Store transactions that did not take effect."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the versions of this program and of Go.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "go": cfg.Go},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		build, m.requests, m.requestSeconds, m.refusals, m.decisions, m.decisionSeconds, m.documents, m.fetches, m.fetchSeconds, m.spent,
		m.commitSeconds, m.commitUnits, m.commitErrors, newStateCollector(cfg.State),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	m.begin()
	return m, nil
}

// begin makes the series of small closed sets.
func (m *Metrics) begin() {
	for _, d := range broker.Reasons() {
		m.refusals.WithLabelValues(string(d.Reason))
	}
	for _, b := range broker.SpentBudgets() {
		m.spent.WithLabelValues(b)
	}
	for _, f := range documentSources {
		m.documents.WithLabelValues(f)
	}
	m.fetches.WithLabelValues("fetched")
	m.fetches.WithLabelValues("not_modified")
}

// Handler answers a scrape. Who may ask is for the caller to decide.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: scrapeWithin})
}

// Request counts one request that was answered. route must be one of a few,
// not a path as it was sent; reason is empty where nothing was refused.
func (m *Metrics) Request(route string, status int, reason broker.Reason, took time.Duration) {
	m.requests.WithLabelValues(route, class(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
	if reason != "" {
		m.refusals.WithLabelValues(m.reasons.hold(string(reason))).Inc()
	}
}

// class is the class of a status, "none" where nothing was answered.
func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// Decided counts one admission decision.
func (m *Metrics) Decided(d broker.Decided) {
	reason := "none"
	if d.Reason != "" {
		reason = m.public.hold(string(d.Reason.Public()))
	}
	phase := phases.hold(string(d.Phase))
	m.decisions.WithLabelValues(outcomes.hold(d.Outcome), reason, phase, m.policies.hold(d.Policy)).Inc()
	m.decisionSeconds.WithLabelValues(phase).Observe(d.Took.Seconds())
	if d.From != "" {
		m.documents.WithLabelValues(froms.hold(d.From)).Inc()
	}
}

// Fetched counts one fetch of a document.
func (m *Metrics) Fetched(f broker.Fetched) {
	outcome := "fetched"
	switch {
	case f.Reason != "":
		outcome = m.reasons.hold(string(f.Reason))
	case f.NotModified:
		outcome = "not_modified"
	}
	m.fetches.WithLabelValues(outcome).Inc()
	m.fetchSeconds.Observe(f.Took.Seconds())
}

// Spent counts one fetch that a budget refused.
func (m *Metrics) Spent(budget string) { m.spent.WithLabelValues(budgets.hold(budget)).Inc() }

// Committed counts one transaction of the store and the units that shared it.
func (m *Metrics) Committed(units int, took time.Duration, err error) {
	m.commitSeconds.Observe(took.Seconds())
	m.commitUnits.Observe(float64(units))
	if err != nil {
		m.commitErrors.Inc()
	}
}

// namespace begins the name of every metric of ours.
const namespace = "guestlist"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, label string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{label})
}
