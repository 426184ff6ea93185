package fetch

// This test stands inside the package because a forged answer reaches the
// parser only over a network that a fuzzer cannot keep pace with.

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzDNSAnswer: no message makes the reader panic or give out what is no
// answer to the question, and what is not ours says nothing.
func FuzzDNSAnswer(f *testing.F) {
	name := dnsmessage.MustNewName("client.example.com.")
	q := query{id: 7, question: dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	seed := func(h dnsmessage.Header, questions []dnsmessage.Question, bodies ...dnsmessage.ResourceBody) {
		m := dnsmessage.Message{Header: h, Questions: questions}
		for _, b := range bodies {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}, Body: b})
		}
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	ours := []dnsmessage.Question{q.question}
	ok := dnsmessage.Header{ID: 7, Response: true}
	seed(ok, ours, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
	seed(ok, ours, &dnsmessage.CNAMEResource{CNAME: name})
	seed(ok, ours, &dnsmessage.AAAAResource{}, &dnsmessage.TXTResource{TXT: []string{"a"}})
	seed(dnsmessage.Header{ID: 7, Response: true, Truncated: true}, ours)
	seed(dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeNameError}, ours)
	seed(dnsmessage.Header{ID: 8, Response: true}, ours)
	seed(dnsmessage.Header{ID: 7}, ours)
	seed(ok, nil, &dnsmessage.AResource{})
	f.Add([]byte{0, 7, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, msg []byte) {
		a, isOurs := q.read(msg)
		given := len(a.addrs) > 0 || a.cut || a.err != nil
		if !isOurs && given {
			t.Errorf("read() = %+v of what is not ours", a)
		}
		if isOurs && (len(msg) < 12 || msg[0] != 0 || msg[1] != 7 || msg[2]&0x80 == 0) {
			t.Errorf("read(%x) took what is no response with our id", msg)
		}
		if a.err != nil && len(a.addrs) > 0 || a.cut && len(a.addrs) > 0 {
			t.Errorf("read() = %+v, want addresses or why there are none", a)
		}
		if len(a.addrs)*12 > len(msg) {
			t.Errorf("%d addresses out of %d bytes", len(a.addrs), len(msg))
		}
		for _, addr := range a.addrs {
			if addr == (netip.Addr{}) {
				t.Error("read() gave a zero address")
			}
		}
	})
}
