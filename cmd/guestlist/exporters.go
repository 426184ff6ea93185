package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"io"
	"strings"

	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
	"guestlist/broker/fetch"
)

// exportersOf turns the checked configuration into what an app runs. The short
// forms keep the positions under the names that they always had. Receivers are
// reached by the operator door, verified by roots; nil means the system's.
func exportersOf(c config, roots *x509.CertPool, stdout io.Writer) ([]exporterPlan, error) {
	var list []exporterConfig
	if c.DecisionLog.Stdout {
		list = append(list, exporterConfig{Name: "stdout", Type: "stdout"})
	}
	if path := c.DecisionLog.File; path != "" {
		list = append(list, exporterConfig{Name: "file", Type: "file", Path: path})
	}
	short := len(list)
	list = append(list, c.DecisionLog.Exporters...)
	var out []exporterPlan
	for i, e := range list {
		p, err := e.plan(c, roots, stdout)
		if err != nil {
			return nil, fmt.Errorf("exporter %s: %w", e.Name, err)
		}
		switch {
		case i >= short:
			p.Cursor = "exporter:" + e.Name
		case e.Path != "":
			p.Cursor = "file:" + e.Path
		}
		out = append(out, p)
	}
	return out, nil
}

// plan turns one exporter into what an app runs.
func (c exporterConfig) plan(all config, roots *x509.CertPool, stdout io.Writer) (exporterPlan, error) {
	view, err := decisionlog.View(cmp.Or(c.View, decisionlog.ViewNative))
	if err != nil {
		return exporterPlan{}, err
	}
	p := exporterPlan{Config: export.Config{
		Name: c.Name, View: view, FromNow: c.From == "now",
		Records: int(c.BatchRecords), Bytes: int(c.BatchBytes), Gather: c.BatchWait.Std(),
	}}
	switch c.Type {
	case "stdout":
		p.Sink = export.Writer{W: stdout}
	case "file":
		p.file, err = export.NewFile(export.FileConfig{Path: c.Path, MaxBytes: c.MaxBytes, Keep: int(c.Keep)})
		p.Sink = p.file
	default:
		p.Sink, err = c.receiver(all, roots)
	}
	return p, err
}

// receiver is the sink that posts.
func (c exporterConfig) receiver(all config, roots *x509.CertPool) (export.Sink, error) {
	door, err := fetch.NewOperator(fetch.OperatorConfig{RootCAs: roots, InsecureHTTP: all.loopback(), Timeout: c.Timeout.Std()})
	if err != nil {
		return nil, err
	}
	cfg := export.HTTPConfig{URL: c.URL, Door: door, Gzip: c.Gzip, Array: c.Format == "json"}
	if c.TokenFile != "" {
		cfg.Token = func() (string, error) { return tokenText(c.TokenFile) }
	}
	if c.Type == "otlp" {
		return export.NewOTLP(cfg, all.Issuer)
	}
	return export.NewHTTP(cfg)
}

// tokenText reads a bearer token, which is read anew for every post, so that
// one that was renewed counts at once.
func tokenText(file string) (string, error) {
	token, err := secretText(file)
	if err == nil && strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		err = fmt.Errorf("the token in %s has a space or another character that no token has", file)
	}
	return token, err
}
