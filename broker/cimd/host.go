package cimd

import (
	"net/netip"
	"strings"
)

// checkPublicName accepts a lower-case DNS name of letters, digits and hyphens
// with at least two labels that no parser can take for an IP address or for
// this machine (U13, F11).
func checkPublicName(host string) *fault {
	if strings.HasPrefix(host, "[") {
		return &fault{rule: "F11", phrase: "must name its host, not an IP address"}
	}
	if f := checkName(host); f != nil {
		return f
	}
	if isLocalhost(host) {
		return &fault{rule: "F11", phrase: "must not name this machine"}
	}
	if strings.IndexByte(host, '.') < 0 {
		return &fault{rule: "U13", phrase: "must have a host with at least two labels"}
	}
	return nil
}

// checkName accepts lower-case names of letters, digits and hyphens whose last
// label is not a number. Names ending in a number are what WHATWG parsers read
// as IPv4 addresses, legacy spellings included.
func checkName(host string) *fault {
	if len(host) > 253 {
		return &fault{rule: "U13", phrase: "has a host longer than 253 octets"}
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return &fault{rule: "U13", phrase: "must have a lower-case host of letters, digits and hyphens, without a final dot"}
		}
		last = label
	}
	if isNumber(last) {
		return &fault{rule: "F11", phrase: "must name its host, not an IP address"}
	}
	return nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// isNumber reports whether a label is decimal, octal or hexadecimal as address
// parsers read it; "0x" alone counts, for they read it as zero.
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for i := range len(digits) {
		if hex && !isHex(digits[i]) || !hex && (digits[i] < '0' || digits[i] > '9') {
			return false
		}
	}
	return true
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// redirectHost says whether a redirect URI may point to this host, and whether
// the host is the machine of the browser. IP addresses are allowed in one
// spelling only: no resolver and no server of ours ever dials them.
func redirectHost(host string) (loopback bool, f *fault) {
	bare, bracketed := strings.CutPrefix(host, "[")
	bare = strings.TrimSuffix(bare, "]")
	if addr, err := netip.ParseAddr(bare); err == nil && addr.Is6() == bracketed {
		if addr.Zone() != "" || addr.Is4In6() || addr.String() != bare {
			return false, &fault{rule: "U13", phrase: "must write an IP address in its canonical form"}
		}
		return addr.IsLoopback(), nil
	}
	return isLocalhost(host), checkName(host)
}
