package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/policies"
)

// exporterConfig is a copy of the decision log that leaves the store.
type exporterConfig struct {
	Name         string          // of its position; another name begins anew
	Type         string          // one of exporterTypes
	View         string          // one of decisionlog.Views; default native
	From         string          // start or now: where a new name begins; default start
	Path         string          // of a file
	MaxBytes     int64           // of a file before it is renamed; 0: it is not
	Keep         int64           // renamed files; default 10 with MaxBytes
	URL          string          // of a receiver; https, or http where loopback holds
	TokenFile    string          // the bearer token of posts; empty: none
	Format       string          // ndjson or json, of http; default ndjson
	Gzip         bool            // compress posts
	BatchRecords int64           // of one post; default 256
	BatchBytes   int64           // of one post before it is compressed; default 1 MiB
	BatchWait    broker.Duration // how long to gather what happens together; default 1 s
	Timeout      broker.Duration // of one post, all included; default 10 s
}

// Types of exporters, and the members that only some of them have.
var (
	exporterTypes = []string{"stdout", "file", "http", "otlp"}
	exporterOnly  = []struct {
		member string
		types  []string
	}{
		{"path", []string{"file"}}, {"max_bytes", []string{"file"}}, {"keep", []string{"file"}},
		{"url", []string{"http", "otlp"}}, {"token_file", []string{"http", "otlp"}}, {"format", []string{"http"}}, {"gzip", []string{"http", "otlp"}},
		{"batch_records", []string{"http", "otlp"}}, {"batch_bytes", []string{"http", "otlp"}}, {"batch_wait", []string{"http", "otlp"}}, {"timeout", []string{"http", "otlp"}},
	}
	exporterName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
)

// The bounds of exporters.
const (
	maxExporters    = 8
	leastFileBytes  = 64 << 10
	keepDefault     = 10
	keepMost        = 1000
	batchMost       = 10_000
	batchBytesLeast = 16 << 10
	batchBytesMost  = 16 << 20
)

func (c *exporterConfig) members() map[string]configMember {
	return map[string]configMember{
		"name":          {value: textValue(&c.Name)},
		"type":          {value: textValue(&c.Type)},
		"view":          {value: textValue(&c.View)},
		"from":          {value: textValue(&c.From)},
		"path":          {value: fileValue(&c.Path)},
		"max_bytes":     {value: integerValue(&c.MaxBytes)},
		"keep":          {value: integerValue(&c.Keep)},
		"url":           {value: textValue(&c.URL)},
		"token_file":    {value: fileValue(&c.TokenFile)},
		"format":        {value: textValue(&c.Format)},
		"gzip":          {value: flagValue(&c.Gzip)},
		"batch_records": {value: integerValue(&c.BatchRecords)},
		"batch_bytes":   {value: integerValue(&c.BatchBytes)},
		"batch_wait":    {value: durationValue(&c.BatchWait)},
		"timeout":       {value: durationValue(&c.Timeout)},
	}
}

// posts reports whether the exporter posts to a receiver.
func (c *exporterConfig) posts() bool { return c.Type == "http" || c.Type == "otlp" }

// checkExporters completes and checks the exporters.
func (r *configReader) checkExporters(c *config) {
	list := c.DecisionLog.Exporters
	if n := len(list); n > maxExporters {
		r.fault("decision_log.exporters", "let one receiver pass it on", "there are %d, at most %d copies are made", n, maxExporters)
		return
	}
	names := map[string]string{}
	if c.DecisionLog.Stdout {
		names["stdout"] = "decision_log.stdout"
	}
	if c.DecisionLog.File != "" {
		names["file"] = "decision_log.file"
	}
	stdout := names["stdout"]
	for i := range list {
		at, e := fmt.Sprintf("decision_log.exporters[%d]", i), &list[i]
		if r.isBad(at) {
			continue
		}
		if r.need(at+".name", e.Name, "give it a name, such as siem: under it its position is kept") {
			r.checkExporterName(at+".name", e.Name, names)
		}
		if !r.need(at+".type", e.Type, "write "+oneOf(exporterTypes)) || !r.choice(at+".type", e.Type, exporterTypes) {
			continue
		}
		if e.Type == "stdout" {
			if stdout != "" {
				r.fault(at+".type", "remove one", "%s writes there already", stdout)
			}
			stdout = at
		}
		r.checkExporter(at, e, c.loopback())
	}
}

func (r *configReader) checkExporterName(at, name string, taken map[string]string) {
	switch {
	case !exporterName.MatchString(name):
		r.fault(at, "write up to 32 of a-z, 0-9, - and _", "%q is no name of an exporter", name)
	case taken[name] != "":
		r.fault(at, "give each its own", "is that of %s", taken[name])
	}
	taken[name] = parentPath(at)
}

// checkExporter looks at an exporter of a known type.
func (r *configReader) checkExporter(at string, e *exporterConfig, loopback bool) {
	for _, only := range exporterOnly {
		if path := at + "." + only.member; r.given(path) && !slices.Contains(only.types, e.Type) {
			r.fault(path, "remove it", "is of no use with type %s, but with %s", e.Type, oneOf(only.types))
		}
	}
	e.View, e.From = cmp.Or(e.View, decisionlog.ViewNative), cmp.Or(e.From, "start")
	r.choice(at+".view", e.View, decisionlog.Views())
	r.choice(at+".from", e.From, []string{"start", "now"})
	switch {
	case e.Type == "file":
		r.checkExporterFile(at, e)
	case e.posts():
		r.checkExporterPosts(at, e, loopback)
	}
}

func (r *configReader) checkExporterFile(at string, e *exporterConfig) {
	if r.need(at+".path", e.Path, "name the file") {
		r.checkNewFile(at+".path", e.Path)
	}
	if !r.given(at + ".max_bytes") {
		if r.given(at + ".keep") {
			r.fault(at+".keep", "add max_bytes, or remove it", "is of no use without max_bytes: nothing is renamed")
		}
		return
	}
	if !r.given(at + ".keep") {
		e.Keep = keepDefault
	}
	r.checkNumber(at+".max_bytes", e.MaxBytes, leastFileBytes, 1<<40)
	r.checkNumber(at+".keep", e.Keep, 1, keepMost)
}

func (r *configReader) checkExporterPosts(at string, e *exporterConfig, loopback bool) {
	remedy := "write https://logs.corp.example/ingest"
	if e.Type == "otlp" {
		remedy = "write https://otel.corp.example/v1/logs"
	}
	if r.need(at+".url", e.URL, remedy) {
		door, err := fetch.NewOperator(fetch.OperatorConfig{InsecureHTTP: loopback})
		if err == nil {
			err = door.CheckURL(e.URL)
		}
		if err != nil {
			r.fault(at+".url", remedy, "%v", err)
		}
	}
	if e.TokenFile != "" {
		if _, err := tokenText(e.TokenFile); err != nil {
			r.fault(at+".token_file", "put the token in it, in one line", "%v", err)
		}
	}
	if e.Type == "http" {
		e.Format = cmp.Or(e.Format, "ndjson")
		r.choice(at+".format", e.Format, []string{"ndjson", "json"})
	}
	if !r.given(at + ".batch_records") {
		e.BatchRecords = 256
	}
	if !r.given(at + ".batch_bytes") {
		e.BatchBytes = 1 << 20
	}
	if !r.given(at + ".batch_wait") {
		e.BatchWait = broker.Duration(time.Second)
	}
	if !r.given(at + ".timeout") {
		e.Timeout = broker.Duration(10 * time.Second)
	}
	r.checkNumber(at+".batch_records", e.BatchRecords, 1, batchMost)
	r.checkNumber(at+".batch_bytes", e.BatchBytes, batchBytesLeast, batchBytesMost)
	r.checkDurations([]durationBound{
		{at + ".batch_wait", e.BatchWait, 0, time.Minute, ""},
		{at + ".timeout", e.Timeout, 100 * time.Millisecond, 5 * time.Minute, ""},
	})
}

// checkNumber holds a number between two bounds, both included.
func (r *configReader) checkNumber(at string, n, least, most int64) {
	if n < least || n > most {
		r.fault(at, fmt.Sprintf("write a number from %d to %d", least, most), "%d is not from %d to %d", n, least, most)
	}
}

// choice refuses a value that is none of a few, and reports whether it is one.
func (r *configReader) choice(at, value string, of []string) bool {
	if slices.Contains(of, value) {
		return true
	}
	sorted := slices.Sorted(slices.Values(of))
	r.fault(at, "write "+oneOf(of), "%q is none of them%s", value, didYouMean(policies.Closest(value, sorted)))
	return false
}

// oneOf lists names for a remedy.
func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
