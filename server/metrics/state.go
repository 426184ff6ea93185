package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeWithin bounds how long a scrape may take.
const scrapeWithin = 5 * time.Second

// State is what is true at the moment of a scrape.
type State struct {
	Clients        int         // clients that have a row: those that live, and the ended that nobody met yet
	ClientsKnown   bool        // false: the store could not say, and the metric is left out
	StoreFree      int64       // bytes that can be written to the store
	StoreFreeKnown bool        // false: nobody measured, and the metric is left out
	Components     []Component // parts of the program, each under its own name
	Lags           []Lag       // readers behind the decision log, each under its own name
	Policies       int         // that decide
	PolicyAt       time.Time   // since when they do in this process; zero: there are none
	PolicyFailed   bool        // the last load was refused, and others decide than the directory has
}

// Component is one part of the program. Its name is this program's or the
// configuration's choice.
type Component struct {
	Name string
	Up   bool // nothing is known to be wrong with it
}

// Lag is how far a reader of the decision log is behind its end.
type Lag struct {
	Exporter string
	Records  uint64
}

// stateCollector asks for the state when it is scraped.
type stateCollector struct {
	state func(ctx context.Context) State

	clients, free, up, lag, policies, policyAt, policyFailed *prometheus.Desc
}

func newStateCollector(state func(ctx context.Context) State) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &stateCollector{
		state:        state,
		clients:      desc("clients", "Clients in the store."),
		free:         desc("store_free_bytes", "Bytes that can still be written to the store: free on the file system, and within the file."),
		up:           desc("component_up", "1 while nothing is known to be wrong with a part of the program; /readyz says what is.", "component"),
		lag:          desc("log_lag_records", "Decision records that an exporter has not handed on yet.", "exporter"),
		policies:     desc("policies", "Policies that decide."),
		policyAt:     desc("policy_activated_timestamp_seconds", "Since when the policies decide that do, in Unix time."),
		policyFailed: desc("policy_load_failed", "1 while the last load of the policies was refused and older ones decide."),
	}
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.clients, c.free, c.up, c.lag, c.policies, c.policyAt, c.policyFailed} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	s := c.state(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if s.ClientsKnown {
		gauge(c.clients, float64(s.Clients))
	}
	if s.StoreFreeKnown {
		gauge(c.free, float64(s.StoreFree))
	}
	for _, p := range s.Components {
		gauge(c.up, truth(p.Up), p.Name)
	}
	for _, l := range s.Lags {
		gauge(c.lag, float64(l.Records), l.Exporter)
	}
	gauge(c.policies, float64(s.Policies))
	gauge(c.policyFailed, truth(s.PolicyFailed))
	if !s.PolicyAt.IsZero() {
		gauge(c.policyAt, float64(s.PolicyAt.UnixMilli())/1000)
	}
}

// truth is 1 for true.
func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
