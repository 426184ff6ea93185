//go:build heavy

package server_test

import "testing"

// TestHeavyRefusalFlood is TestRefusalFlood at full size (B40).
func TestHeavyRefusalFlood(t *testing.T) { refusalFlood(t, 100_000) }
