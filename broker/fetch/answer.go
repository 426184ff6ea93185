package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// maxAliases is how many CNAME records lead from a name to its addresses.
const maxAliases = 16

// answer is what a DNS server said to a query.
type answer struct {
	addrs []netip.Addr
	cut   bool  // there is more, to be asked for over TCP
	err   error // of a server that answered and had no addresses to give
}

// read takes a message apart. It is not ours where it is no response to q: then
// it says nothing.
func (q query) read(msg []byte) (a answer, ours bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.ID != q.id {
		return answer{}, false
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || !q.asks(asked[0]) {
		return answer{}, false
	}
	switch {
	case h.RCode == dnsmessage.RCodeNameError:
		return answer{err: &net.DNSError{Err: "no such host", Name: q.question.Name.String(), IsNotFound: true}}, true
	case h.RCode != dnsmessage.RCodeSuccess:
		return answer{err: fmt.Errorf("the name server answered %s", h.RCode)}, true
	case h.Truncated:
		return answer{cut: true}, true
	}
	r := records{addrs: map[string][]netip.Addr{}, alias: map[string]string{}}
	if err := r.collect(&p); err != nil {
		return answer{err: fmt.Errorf("answer of the name server: %w", err)}, true
	}
	addrs, err := r.follow(plain(q.question.Name))
	return answer{addrs: addrs, err: err}, true
}

// asks compares questions; names do not differ in case (RFC 4343).
func (q query) asks(other dnsmessage.Question) bool {
	return plain(other.Name) == plain(q.question.Name) && other.Type == q.question.Type && other.Class == q.question.Class
}

func plain(n dnsmessage.Name) string { return strings.ToLower(n.String()) }

// records are the addresses and aliases of an answer, by name in lower case.
type records struct {
	addrs map[string][]netip.Addr
	alias map[string]string
}

// collect reads the answer section, and passes over what it does not know.
func (r records) collect(p *dnsmessage.Parser) error {
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return err
		}
		name := plain(h.Name)
		switch {
		case h.Class != dnsmessage.ClassINET:
			err = p.SkipAnswer()
		case h.Type == dnsmessage.TypeA:
			var rr dnsmessage.AResource
			rr, err = p.AResource()
			r.addrs[name] = append(r.addrs[name], netip.AddrFrom4(rr.A))
		case h.Type == dnsmessage.TypeAAAA:
			var rr dnsmessage.AAAAResource
			rr, err = p.AAAAResource()
			r.addrs[name] = append(r.addrs[name], netip.AddrFrom16(rr.AAAA))
		case h.Type == dnsmessage.TypeCNAME:
			var rr dnsmessage.CNAMEResource
			rr, err = p.CNAMEResource()
			r.alias[name] = plain(rr.CNAME)
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return err
		}
	}
}

// follow goes from a name over its aliases to addresses; there may be none.
func (r records) follow(name string) ([]netip.Addr, error) {
	for range maxAliases + 1 {
		next, ok := r.alias[name]
		if !ok {
			return r.addrs[name], nil
		}
		name = next
	}
	return nil, fmt.Errorf("more than %d aliases", maxAliases)
}
