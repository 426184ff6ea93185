package policies

import (
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// sight is what is known of the input before any request: by field of
// broker.Input the known part, and references to what is unknown. The two
// together are the whole of the closed input.
type sight struct {
	known   map[int]*ast.Term
	unknown map[int][]*ast.Term
}

// newSight knows nothing but the contract.
func newSight(keys inputKeys) *sight {
	s := &sight{known: map[int]*ast.Term{}, unknown: map[int][]*ast.Term{}}
	for i, key := range keys[reflect.TypeFor[broker.Input]()] {
		s.unknown[i] = []*ast.Term{ast.NewTerm(ast.InputRootRef.Append(key))}
	}
	s.know("contract", ast.StringTerm(broker.Contract))
	return s
}

// know settles one top-level member.
func (s *sight) know(member string, t *ast.Term) {
	i := fieldOf(member)
	s.known[i] = t
	delete(s.unknown, i)
}

// knowSome settles some members of a struct; the others stay unknown.
func (s *sight) knowSome(keys inputKeys, member string, of reflect.Type, some map[string]any) {
	i := fieldOf(member)
	var pairs [][2]*ast.Term
	s.unknown[i] = nil
	for _, key := range keys[of] {
		if v, ok := some[string(key.Value.(ast.String))]; ok {
			pairs = append(pairs, [2]*ast.Term{key, ast.NewTerm(ast.MustInterfaceToValue(v))})
			continue
		}
		s.unknown[i] = append(s.unknown[i], ast.NewTerm(ast.InputRootRef.Append(ast.StringTerm(member)).Append(key)))
	}
	s.known[i] = ast.ObjectTerm(pairs...)
}

// knowRequest settles the redirect that the question names.
func (s *sight) knowRequest(keys inputKeys, q *WhoCanQuery) {
	redirect := map[string]any{}
	switch {
	case q.Loopback:
		redirect["kind"] = "loopback"
	case q.PrivateScheme:
		redirect["kind"] = "private_scheme"
	case q.Relation != "":
		redirect["kind"], redirect["relation"] = "https", q.Relation
	case q.Consent == "skip":
		redirect["kind"], redirect["relation"] = "https", "same_origin"
	default:
		return
	}
	i := fieldOf("request")
	s.knowSome(keys, "request", reflect.TypeFor[broker.RequestInput](), nil)
	at := ast.InputRootRef.Append(ast.StringTerm("request")).Append(ast.StringTerm("redirect"))
	s.unknown[i] = slices.DeleteFunc(s.unknown[i], func(t *ast.Term) bool { return t.Value.Compare(at) == 0 })
	var pairs [][2]*ast.Term
	for _, key := range keys[reflect.TypeFor[broker.RedirectInput]()] {
		if v, ok := redirect[string(key.Value.(ast.String))]; ok {
			pairs = append(pairs, [2]*ast.Term{key, ast.NewTerm(ast.MustInterfaceToValue(v))})
		} else {
			s.unknown[i] = append(s.unknown[i], ast.NewTerm(at.Append(key)))
		}
	}
	s.known[i] = ast.ObjectTerm([2]*ast.Term{ast.StringTerm("redirect"), ast.ObjectTerm(pairs...)})
}

// knowClient settles what every identifier that matches p has in common. With
// plain there is none with a query among them.
func (s *sight) knowClient(keys inputKeys, p *pattern, plain bool) {
	id := p.identifier()
	if p.opaque {
		s.know("client_id", ast.StringTerm(p.text))
		s.knowSome(keys, "client", reflect.TypeFor[broker.ClientInput](), clientParts(id, true, true))
		return
	}
	s.knowSome(keys, "client", reflect.TypeFor[broker.ClientInput](), clientParts(id, !p.wild, p.literalPath()))
	if p.exact() && plain {
		s.knowID(keys, id)
	}
}

// knowID settles all that an identifier shows.
func (s *sight) knowID(keys inputKeys, id cimd.ID) {
	s.know("client_id", ast.StringTerm(id.String()))
	parts := clientParts(id, true, true)
	parts["query"], parts["warnings"] = id.Query, texts(id.Warnings)
	s.knowSome(keys, "client", reflect.TypeFor[broker.ClientInput](), parts)
}

// clientParts are members of input.client: all have scheme and port.
func clientParts(id cimd.ID, host, path bool) map[string]any {
	out := map[string]any{"scheme": "https", "port": id.Port}
	if id.IsOpaque() {
		out["scheme"] = ""
	}
	if host {
		out["host"], out["registrable_domain"] = id.Host, id.RegistrableDomain()
		out["parents"], out["labels"] = texts(id.Parents()), texts(id.Labels())
	}
	if path {
		out["path"], out["segments"] = id.Path, texts(id.Segments)
	}
	return out
}

// texts is a list for the engine.
func texts(list []string) []any {
	out := make([]any, 0, len(list))
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// of returns what a rule that reads those fields is given, and what it is not.
func (s *sight) of(keys inputKeys, fields []int) (input *ast.Term, unknown []*ast.Term) {
	var pairs [][2]*ast.Term
	for _, i := range fields {
		if t := s.known[i]; t != nil {
			pairs = append(pairs, [2]*ast.Term{keys[reflect.TypeFor[broker.Input]()][i], t})
		}
		unknown = append(unknown, s.unknown[i]...)
	}
	return ast.ObjectTerm(pairs...), unknown
}
