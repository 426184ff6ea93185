package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"guestlist/server"
)

// longSecret is the length from which a resource's secret counts as long: 128
// bits in base64. It is checked by a fast hash, so a short one can be guessed;
// the server says so at its start.
const longSecret = 22

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
	if _, _, err := readSecret(res.SecretFile); err != nil {
		r.fault(at+".secret_file", "put random characters in it, for instance from: openssl rand -base64 32", "%v", err)
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

// readSecret reads the secret of a resource and says whether it is long.
func readSecret(file string) (secret server.Secret, long bool, err error) {
	text, err := secretText(file)
	if err != nil {
		return server.Secret{}, false, err
	}
	return sha256.Sum256([]byte(text)), len(text) >= longSecret, nil
}

// secretText reads a secret file: the bare secret, one trailing newline
// ignored.
func secretText(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" || len(text) > 1024 {
		return "", fmt.Errorf("the secret in %s has %d characters, want 1 to 1024", file, len(text))
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("the secret in %s has more than one line", file)
	}
	return text, nil
}

// secretsOf reads the secrets of the resources that have one, and names the
// resources whose secret is short.
func secretsOf(c config) (secrets map[string]server.Secret, short []string, err error) {
	secrets = map[string]server.Secret{}
	for _, res := range c.Resources {
		if res.SecretFile == "" {
			continue
		}
		secret, long, err := readSecret(res.SecretFile)
		if err != nil {
			return nil, nil, fmt.Errorf("resource %s: %w", res.ID, err)
		}
		if !long {
			short = append(short, res.Name)
		}
		secrets[res.ID] = secret
	}
	return secrets, short, nil
}
