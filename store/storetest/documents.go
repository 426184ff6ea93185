package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"guestlist/store"
)

// documentsKept: the bytes of a document outlive the rows that had it, until
// no kept input may be about it; one that comes back is kept by its row.
func documentsKept(e *env) {
	body := []byte(`{"client_id":"https://app.example/client.json"}`)
	digest := sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	kept := func(name, sum string, want bool) {
		e.Helper()
		got, ok, err := e.s.Document(context.Background(), sum)
		if err != nil || ok != want || ok && !bytes.Equal(got, body) {
			e.Errorf("%s: Document() = %q, %v, %v, want %v", name, got, ok, err, want)
		}
	}
	sweep := func(at time.Time) int {
		e.Helper()
		n, err := e.s.SweepMaterial(context.Background(), at)
		if err != nil {
			e.Fatalf("SweepMaterial() = %v", err)
		}
		return n
	}
	for _, bad := range []string{strings.Repeat("0", 64), "", "zz", sum[:10]} {
		kept("no document of that hash", bad, false)
	}
	c := newClient(clientID, 1)
	c.Published, c.DocumentSHA256 = body, sum
	e.must(func(u store.Unit) { u.CreateClient(c) })
	kept("the client has it", sum, true)
	sweep(moment(1000 * time.Hour))
	kept("swept while the client has it", sum, true)
	e.log(newRecord("r"))
	other := c
	other.Published, other.DocumentSHA256 = []byte("{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	e.must(func(u store.Unit) { u.UpdateClient(other) })
	kept("replaced", sum, true)
	e.must(func(u store.Unit) { u.UpdateClient(c) })
	sweep(moment(1000 * time.Hour))
	kept("back, and swept", sum, true)
	e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "test") })
	e.reopen()
	kept("the client is gone", sum, true)
	if n := sweep(moment(store.BundleKept - 1)); n != 0 {
		e.Errorf("SweepMaterial() a moment early = %d, want none", n)
	}
	kept("an input may be about it", sum, true)
	if n := sweep(moment(store.BundleKept)); n != 1 {
		e.Errorf("SweepMaterial() = %d, want the document", n)
	}
	kept("no input is about it", sum, false)
}
