package main

import (
	"crypto/x509"
	"io"

	"guestlist/broker/export"
)

// exportersOf turns the checked configuration into exporters. The short forms
// keep the cursors they always had.
func exportersOf(c config, roots *x509.CertPool, stdout io.Writer) ([]exporterPlan, error) {
	var out []exporterPlan
	if c.DecisionLog.Stdout {
		out = append(out, exporterPlan{Config: export.Config{Name: "stdout", Sink: export.Writer{W: stdout}}})
	}
	if path := c.DecisionLog.File; path != "" {
		f, err := export.NewFile(export.FileConfig{Path: path})
		if err != nil {
			return nil, err
		}
		out = append(out, exporterPlan{Config: export.Config{Name: "file", Cursor: "file:" + path, Sink: f}, file: f})
	}
	return out, nil
}
