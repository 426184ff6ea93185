package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"
)

// Documents is a document host on TLS that answers under several names.
type Documents struct {
	Roots   *x509.CertPool    // trust its certificate
	HostMap map[string]string // reach its names

	mu      sync.Mutex
	answers map[string]Answer
	hits    map[string]int
	stood   map[string]int // answers 304
}

// Answer is what one URL of the document host answers.
type Answer struct {
	Status int               // zero: 200
	Header map[string]string // Content-Type defaults to application/json; with an ETag, who holds it is told 304
	Body   string
	Wait   <-chan struct{} // answer when it is closed; nil: at once
}

// newDocuments starts the host.
func newDocuments(t testing.TB, hosts []string) *Documents {
	t.Helper()
	d := &Documents{Roots: x509.NewCertPool(), HostMap: map[string]string{}, answers: map[string]Answer{}, hits: map[string]int{}, stood: map[string]int{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hosts, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	leaf, err := x509.ParseCertificate(der)
	check(t, err)
	d.Roots.AddCert(leaf)
	web := httptest.NewUnstartedServer(http.HandlerFunc(d.serve))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}}
	web.StartTLS()
	t.Cleanup(web.Close)
	for _, h := range hosts {
		d.HostMap[h+":443"] = web.Listener.Addr().String()
	}
	return d
}

// serve answers one request and counts it.
func (d *Documents) serve(w http.ResponseWriter, r *http.Request) {
	url := "https://" + r.Host + r.RequestURI
	d.mu.Lock()
	a, ok := d.answers[url]
	d.hits[url]++
	d.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if a.Wait != nil {
		select {
		case <-a.Wait:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	for k, v := range a.Header {
		w.Header().Set(k, v)
	}
	if tag := a.Header["ETag"]; tag != "" && r.Header.Get("If-None-Match") == tag && a.Status == 0 {
		d.mu.Lock()
		d.stood[url]++
		d.mu.Unlock()
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	w.Write([]byte(a.Body))
}

// Set makes a URL answer a.
func (d *Documents) Set(url string, a Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[url] = a
}

// Publish makes a URL answer a document with members, completed by what a
// public client needs: client_id, client_name and redirect_uris.
func (d *Documents) Publish(url string, members map[string]any) {
	doc := map[string]any{
		"client_id": url, "client_name": "Example", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"},
		"grant_types": []string{"authorization_code"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	for k, v := range members {
		if v == nil {
			delete(doc, k)
			continue
		}
		doc[k] = v
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	d.Set(url, Answer{Body: string(b)})
}

// Hits returns how often a URL was asked for.
func (d *Documents) Hits(url string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hits[url]
}

// Stood returns how often a URL was answered with 304.
func (d *Documents) Stood(url string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stood[url]
}

// Total returns how many requests the host saw.
func (d *Documents) Total() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, v := range d.hits {
		n += v
	}
	return n
}

// check ends the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeFile writes a private file.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(text), 0o600))
}
