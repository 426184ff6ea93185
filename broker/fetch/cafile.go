package fetch

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// LoadCAFile returns the system's certificate authorities and those in the PEM
// file at path. A file without a certificate, or with anything that begins like
// a PEM block and is not a readable certificate, is refused: an authority that
// is silently missing shows up later as a host that cannot be verified.
func LoadCAFile(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificate authorities of the system: %w", err)
	}
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		n++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certificate authorities in %s: block %d is a %q, not a CERTIFICATE", path, n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities in %s: block %d: %w", path, n, err)
		}
		pool.AddCert(cert)
	}
	if begun := bytes.Count(data, []byte("-----BEGIN ")); begun > n {
		return nil, fmt.Errorf("certificate authorities in %s: %d of %d PEM blocks are damaged", path, begun-n, begun)
	}
	if n == 0 {
		return nil, fmt.Errorf("certificate authorities in %s: no PEM certificate in the file", path)
	}
	return pool, nil
}
