package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/server/admin"
)

// clientShowCommand shows one client.
func clientShowCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "show URL",
		Short: "Show one client: its life, its document, its grants and who let it in",
		Long: "Show one client: its life, its document, what waits for approval, pin, blocks, keys\n" +
			"and live grants.",
		Example: "  guestlist client show https://agents.example/oauth/client.json",
		Args:    oneArg,
	}
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		row, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printOne(c.OutOrStdout(), *format, row, func(w io.Writer) error { return describeClient(w, row) })
	}
	return c
}

// describeClient writes a page for people about one client.
func describeClient(w io.Writer, row admin.ClientDetail) error {
	doc, err := json.Marshal(row.Document)
	if err != nil {
		return fmt.Errorf("show %s: %w", row.ID, err)
	}
	p := &page{}
	p.clientLife(row.ClientRow)
	p.field(0, "document", fmt.Sprintf("%s (%d bytes)", row.DocumentSHA256, row.DocumentBytes))
	p.held(row)
	p.field(0, "live grants", strconv.Itoa(row.LiveGrants))
	for _, g := range row.Grants {
		line := fmt.Sprintf("%s  by %s since %s", g.ID, g.Subject, stamp(g.CreatedAt))
		if !g.LastUsedAt.IsZero() {
			line += ", used " + stamp(g.LastUsedAt)
		}
		p.line(1, "%s, for %s", line, listed(g.Scopes))
	}
	p.line(0, "members that are kept")
	p.members(1, flatten(doc))
	_, err = w.Write(p.buf.Bytes())
	return err
}

// clientLife writes who the client is and its clocks.
func (p *page) clientLife(row admin.ClientRow) {
	p.field(0, "client", row.ID)
	p.field(0, "name", row.Document.ClientName)
	p.field(0, "state", string(row.State))
	p.field(0, "registration", string(row.Registration))
	if row.Incarnation != 0 {
		p.field(0, "incarnation", strconv.FormatUint(row.Incarnation, 10))
	}
	p.field(0, "policy", strings.Join(row.Policy, ", "))
	p.field(0, "tags", strings.Join(row.Tags, ", "))
	for _, m := range []struct {
		name string
		at   time.Time
	}{
		{"created", row.CreatedAt}, {"fetched", row.FetchedAt}, {"fresh until", row.FreshUntil}, {"usable until", row.UsableUntil},
		{"looked at", row.LookedAt}, {"withdrawn", row.WithdrawnAt}, {"keys changed", row.KeysChangedAt}, {"expires", row.ExpiresAt},
	} {
		if !m.at.IsZero() {
			p.field(0, m.name, stamp(m.at))
		}
	}
	p.field(0, "revision", row.Revision)
}

// held writes what an operator did about the client or has to.
func (p *page) held(row admin.ClientDetail) {
	for _, b := range row.Blocks {
		p.field(0, "blocked", blockLine(b))
	}
	if row.Pin != nil {
		p.field(0, "pinned", fmt.Sprintf("%s by %s at %s", row.Pin.SHA256, row.Pin.Actor, stamp(row.Pin.At)))
	}
	if row.Pending != nil {
		p.field(0, "waits", fmt.Sprintf("%s since %s: %s", row.Pending.SHA256, stamp(row.Pending.SeenAt), listed(row.Pending.Changes)))
	}
	p.keys("key", row.Keys)
	p.keys("waiting key", row.PendingKeys)
	if row.Waits != "" {
		p.field(0, "waits as", row.Waits)
		p.field(0, "remedy", "guestlist client approve URL shows what waits and lets it in")
	}
}

// keys writes public keys, one a line.
func (p *page) keys(name string, list []broker.KeyPrint) {
	for _, k := range list {
		p.field(0, name, strings.TrimSpace(k.ID+" "+k.Thumbprint))
	}
}

// blockLine is a block with its reason.
func blockLine(b broker.Block) string {
	return fmt.Sprintf("%s %s by %s at %s: %s", b.Kind, b.Value, b.Actor, stamp(b.At), b.Reason)
}

// listed writes a list for people.
func listed(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
