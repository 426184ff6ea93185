package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// maxClientDocument bounds a document_file, as it bounds every document.
const maxClientDocument = 65536

// clientsValue reads the registered clients: for each client_id, and its
// document as members of RFC 7591 or as document_file. The documents are
// checked by the rules of client ID metadata documents.
func clientsValue(to *[]broker.Registered) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		first := map[string]string{}
		r.list(path, n, func(at string, item ast.Node) {
			members, ok := r.tree(at, item, maxTreeDepth).(map[string]any)
			if !ok {
				if !r.isBad(at) {
					r.fault(at, "write client_id and what RFC 7591 says of a client below the dash", "is not a mapping")
				}
				return
			}
			c, ok := r.client(at, members)
			if !ok {
				return
			}
			if other, twice := first[c.ID.String()]; twice {
				r.fault(at+".client_id", "remove one", "%s is %s already", c.ID, other)
				return
			}
			first[c.ID.String()] = at
			*to = append(*to, c)
		})
	}
}

// client reads one registered client.
func (r *configReader) client(at string, members map[string]any) (broker.Registered, bool) {
	const remedy = "write a client identifier URL, such as https://app.example/client, or a name, such as s6BhdRkqt3"
	name, _ := members["client_id"].(string)
	if name == "" {
		r.fault(at+".client_id", remedy, "is required, as text")
		return broker.Registered{}, false
	}
	id, err := cimd.Opaque(name)
	if cimd.LooksLikeURL(name) {
		id, err = cimd.Parse(name)
	}
	if err != nil {
		r.fault(at+".client_id", remedy, "%v", err)
		return broker.Registered{}, false
	}
	file, fromFile := members["document_file"]
	var document []byte
	if fromFile {
		document, err = r.clientFile(file, members)
	} else {
		document, err = json.Marshal(members)
	}
	if err != nil {
		r.fault(at+".document_file", "name a file with the client's document as JSON, and nothing beside it and client_id", "%v", err)
		return broker.Registered{}, false
	}
	p, err := cimd.ParseDocument(document, id, cimd.ProfileMCP)
	if err != nil {
		r.fault(at, clientRemedy(err), "%v", err)
		return broker.Registered{}, false
	}
	if len(p.Dropped) > 0 && !fromFile {
		r.fault(at, "correct or remove them", "these members say nothing that this server understands: %s", strings.Join(p.Dropped, ", "))
		return broker.Registered{}, false
	}
	return broker.Registered{ID: id, Published: document}, true
}

// clientRemedy says what to do about a document that breaks a rule.
func clientRemedy(err error) string {
	var e *cimd.Error
	if errors.As(err, &e) && (e.Rule == "D7" || e.Rule == "D8") {
		return "there are no shared secrets here: remove it, and write token_endpoint_auth_method: private_key_jwt with jwks or jwks_uri, or none"
	}
	return "write what RFC 7591 says of a client: client_name, redirect_uris, grant_types, response_types, token_endpoint_auth_method, …"
}

// clientFile reads a document_file, relative to the configuration.
func (r *configReader) clientFile(file any, members map[string]any) ([]byte, error) {
	name, ok := file.(string)
	if !ok || name == "" {
		return nil, errors.New("is no path")
	}
	if len(members) > 2 {
		beside := slices.DeleteFunc(slices.Sorted(maps.Keys(members)), func(m string) bool { return m == "client_id" || m == "document_file" })
		return nil, fmt.Errorf("stands beside %s", strings.Join(beside, ", "))
	}
	path, err := absolutePath(r.dir, name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxClientDocument+1))
	if err == nil && len(b) > maxClientDocument {
		err = fmt.Errorf("%s has more than %d bytes", name, maxClientDocument)
	}
	return b, err
}

// urlShaped are the registered clients whose identifier is a URL: the document
// that is published there does not count any more.
func urlShaped(list []broker.Registered) []string {
	var out []string
	for _, c := range list {
		if !c.ID.IsOpaque() {
			out = append(out, c.ID.String())
		}
	}
	return out
}
