package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"guestlist/server"
)

// minSecret is the least length of a resource's secret: 128 bits in base64.
// The secret is random and checked by a fast hash.
const minSecret = 22

// checkTokens completes and checks which tokens a resource takes.
func (r *configReader) checkTokens(at string, res *resourceConfig) {
	switch res.TokenFormat {
	case "":
		res.TokenFormat = "jwt"
	case "jwt":
	case "opaque":
		if res.SecretFile == "" {
			r.fault(at+".token_format", "add secret_file, the secret that the resource introspects with", "opaque tokens can only be read by introspection")
		}
	default:
		r.fault(at+".token_format", "write jwt or opaque, or leave it out", "%q is no token format", res.TokenFormat)
	}
	switch res.SigningAlg {
	case "":
		res.SigningAlg = "ES256"
	case "ES256", "RS256":
	default:
		r.fault(at+".signing_alg", "write ES256 or RS256, or leave it out", "%q is no algorithm of this server", res.SigningAlg)
	}
	if res.SecretFile == "" {
		return
	}
	if _, err := readSecret(res.SecretFile); err != nil {
		r.fault(at+".secret_file", "put at least 22 random characters in it, for instance from: openssl rand -base64 32", "%v", err)
	}
	if strings.Contains(res.Name, ":") {
		r.fault(at+".name", "choose a name without one", "a resource with a secret authenticates by HTTP Basic, whose names have no colon")
	}
}

// checkNames refuses two resources with secrets under one name.
func (r *configReader) checkNames(c *config) {
	first := map[string]int{}
	for i, res := range c.Resources {
		if res.SecretFile == "" {
			continue
		}
		if other, taken := first[res.Name]; taken {
			r.fault(fmt.Sprintf("resources[%d].name", i), "choose another", "%q is the name of resources[%d], and both authenticate by it", res.Name, other)
		}
		first[res.Name] = i
	}
}

// readSecret reads a secret file: the bare secret, one trailing newline
// ignored.
func readSecret(file string) (server.Secret, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return server.Secret{}, err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if len(secret) < minSecret {
		return server.Secret{}, fmt.Errorf("the secret in %s has %d characters, at least %d are needed", file, len(secret), minSecret)
	}
	if strings.ContainsAny(secret, "\r\n\x00") {
		return server.Secret{}, fmt.Errorf("the secret in %s has more than one line", file)
	}
	return sha256.Sum256([]byte(secret)), nil
}

// secretsOf reads the secrets of the resources that have one.
func secretsOf(c config) (map[string]server.Secret, error) {
	out := map[string]server.Secret{}
	for _, res := range c.Resources {
		if res.SecretFile == "" {
			continue
		}
		secret, err := readSecret(res.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", res.ID, err)
		}
		out[res.ID] = secret
	}
	return out, nil
}
