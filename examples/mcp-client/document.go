package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// redirectPath is where the person's browser brings the answer. A server
// ignores the port of loopback redirect URIs (RFC 8252 section 7.3), so the
// document names none.
const redirectPath = "/callback"

// redirectHosts are the loopback names that the document allows.
var redirectHosts = []string{"127.0.0.1", "localhost"}

// document is a client ID metadata document and where it is published.
type document struct {
	at   *url.URL // the client_id
	body []byte   // JSON
}

// metadata are the members of the document (RFC 7591 section 2).
type metadata struct {
	ClientID                string   `json:"client_id"` // exactly the URL of the document
	ClientName              string   `json:"client_name"`
	RedirectURIs            []string `json:"redirect_uris"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"` // none: a program on people's machines keeps no secret
}

// newDocument makes the document of the client that clientID names.
func newDocument(clientID string) (document, error) {
	at, err := url.Parse(clientID)
	if err != nil {
		return document{}, fmt.Errorf("--client-id: %w", err)
	}
	if at.Scheme != "https" || at.Hostname() == "" || at.Path == "" || at.Path == "/" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return document{}, fmt.Errorf("--client-id %q: want https, a host and a path, nothing more", clientID)
	}
	m := metadata{
		ClientID: clientID, ClientName: "Example MCP client",
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, TokenEndpointAuthMethod: "none",
	}
	for _, host := range redirectHosts {
		m.RedirectURIs = append(m.RedirectURIs, "http://"+host+redirectPath)
	}
	body, err := json.MarshalIndent(m, "", "  ")
	return document{at: at, body: append(body, '\n')}, err
}

// ServeHTTP answers the document at its path.
func (d document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.EscapedPath() != d.at.EscapedPath() || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=300")
	w.Write(d.body)
}

// serve publishes the document on addr until ctx ends. The certificate is
// written before the line that says it is ready; its key is never kept.
func (d document) serve(ctx context.Context, addr, certOut string, stdout io.Writer) error {
	pair, err := selfSigned(d.at.Hostname())
	if err != nil {
		return fmt.Errorf("make a certificate for %s: %w", d.at.Hostname(), err)
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}
	if err := os.WriteFile(certOut, pem.EncodeToMemory(block), 0o644); err != nil {
		return fmt.Errorf("--cert-out: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--serve-document: %w", err)
	}
	s := &http.Server{
		Handler: d, ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	fmt.Fprintf(stdout, "ready: %s\n", l.Addr())
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// selfSigned makes a certificate for one host. It cannot sign others, so a
// server that trusts it trusts this host only.
func selfSigned(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 30),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
