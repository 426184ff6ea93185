package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"guestlist/broker/fetch"
	"guestlist/server/tracing"
)

// tracingConfig says where spans go; the zero value: there are none.
type tracingConfig struct {
	Endpoint string  // the whole address for OTLP traces; empty: nothing is traced
	Sample   float64 // share of the requests; default 1
}

func (c *tracingConfig) members() map[string]configMember {
	return map[string]configMember{
		"endpoint": {value: textValue(&c.Endpoint)},
		"sample":   {value: shareValue(&c.Sample)},
	}
}

// shareValue reads a number of more than 0 and at most 1.
func shareValue(to *float64) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		v := r.follow(path, n)
		if v == nil {
			return
		}
		if number, ok := v.(ast.ScalarNode); ok && (v.Type() == ast.IntegerType || v.Type() == ast.FloatType) {
			if share, err := strconv.ParseFloat(number.GetToken().Value, 64); err == nil && share > 0 && share <= 1 {
				*to = share
				return
			}
		}
		r.fault(path, "write a number such as 0.1 for every tenth", "is not a number of more than 0 and at most 1")
	}
}

func (r *configReader) checkTracing(c *config) {
	if c.Tracing.Endpoint == "" {
		if r.given("tracing.sample") {
			r.fault("tracing.sample", "set tracing.endpoint too, or remove both", "is of no use without tracing.endpoint")
		}
		return
	}
	r.checkSinkURL("tracing.endpoint", c.Tracing.Endpoint, "write https://otel.corp.example/v1/traces", c.loopback())
}

// tracingOf is what spans are made by, without what the app adds; nil where
// nothing is traced. They leave by the operator door, verified by roots; nil
// means the system's.
func tracingOf(c config, roots *x509.CertPool) (*tracing.Config, error) {
	if c.Tracing.Endpoint == "" {
		return nil, nil
	}
	door, err := fetch.NewOperator(fetch.OperatorConfig{RootCAs: roots, InsecureHTTP: c.loopback()})
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	post := func(ctx context.Context, body []byte) error {
		return door.Post(ctx, c.Tracing.Endpoint, http.Header{"Content-Type": {"application/x-protobuf"}}, body)
	}
	return &tracing.Config{Post: post, Sample: c.Tracing.Sample, Version: readVersion().Guestlist}, nil
}
