package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestlist/broker"
)

// guardrailsLabel stands before the names of files of Config.Guardrails.
const guardrailsLabel = "guardrails:"

// Bundle returns the bytes that the revision covers, for LoadBundle.
func (s *Set) Bundle() broker.Bundle { return s.bundle }

// bundleOf collects what the revision covers.
func bundleOf(maxima []byte, sources []*source) broker.Bundle {
	out := broker.Bundle{Files: map[string][]byte{}, Maxima: maxima}
	for _, s := range sources {
		for _, f := range s.files {
			if !isTest(f.path) {
				out.Files[s.name(f)] = f.body
			}
		}
	}
	return out
}

// LoadBundle is Load for the bytes of a revision; FS, Guardrails and Maxima of
// cfg do not count. Under the contract of the program that made the bundle, the
// Set has the revision again.
func LoadBundle(ctx context.Context, b broker.Bundle, cfg Config) (*Set, error) {
	d := json.NewDecoder(bytes.NewReader(b.Maxima))
	d.UseNumber()
	cfg.Maxima = nil
	if err := d.Decode(&cfg.Maxima); err != nil {
		return nil, fmt.Errorf("read the maxima of a bundle: %w", err)
	}
	sources := []*source{{}}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		path, apart := strings.CutPrefix(name, guardrailsLabel)
		if apart && len(sources) == 1 {
			sources = append(sources, &source{label: guardrailsLabel})
		}
		to := sources[0]
		if apart {
			to = sources[1]
		}
		to.files = append(to.files, sourceFile{path, b.Files[name]})
	}
	out := &report{}
	set, err := load(ctx, cfg, sources, out)
	if err == nil {
		_, err = out.result()
	}
	if err == nil && set == nil {
		err = errors.New("nothing was loaded")
	}
	if err != nil {
		return nil, fmt.Errorf("load a bundle: %w", err)
	}
	return set, nil
}
