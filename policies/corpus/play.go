package corpus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/rehearsal"
)

// Stage is where scenes are played.
type Stage struct {
	rehearsal.Stage           // Offer.Resources are what {resource} and {resources} stand for
	At              time.Time // of scenes that do not say when; required
	Scopes          []string  // what {scopes} stands for
	// Facts is the policy with other values of some facts, for scenes that give
	// any; such a scene is an error where it is nil.
	Facts func(values map[string]any) (broker.Policy, error)
}

// Play decides every scene, in order.
//
// A scene without a document has the published one of its client where it is
// among the shipped, else one that a client of that host would plausibly
// publish: its first redirect URI is the scene's.
func (s Stage) Play(ctx context.Context, scenes []Scene) ([]Decision, error) {
	known, err := published()
	if err != nil {
		return nil, err
	}
	out := make([]Decision, 0, len(scenes))
	for _, sc := range scenes {
		on, err := s.with(sc.Facts)
		if err != nil {
			return nil, fmt.Errorf("scene %s: %w", sc.Name, err)
		}
		records, err := on.Play(ctx, s.imagine(sc, known))
		if err != nil {
			return nil, fmt.Errorf("scene %s: %w", sc.Name, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := decisionOf(records)
		if err != nil {
			return nil, fmt.Errorf("scene %s: %w", sc.Name, err)
		}
		d.Scene, d.Purpose, d.ClientID = sc.Name, sc.Purpose, sc.ClientID
		d.Unexpected = sc.Expect.differs(d)
		out = append(out, d)
	}
	return out, nil
}

// with is the stage on which facts have these values.
func (s Stage) with(facts map[string]any) (rehearsal.Stage, error) {
	out := s.Stage
	if facts == nil {
		return out, nil
	}
	if s.Facts == nil {
		return out, errors.New("facts cannot be set here")
	}
	policy, err := s.Facts(facts)
	out.Policy = policy
	return out, err
}

// imagine completes a scene.
func (s Stage) imagine(sc Scene, known map[string][]byte) rehearsal.Scene {
	at := s.At
	if sc.At != nil {
		at = *sc.At
	}
	out := rehearsal.Scene{ClientID: sc.ClientID, Document: sc.Document, RedirectURI: sc.RedirectURI, At: at}
	if out.Document == nil {
		out.Document = known[sc.ClientID]
	}
	if out.Document == nil {
		out.Document = plausible(sc.ClientID, sc.RedirectURI)
	}
	out.Request = broker.RequestInput{
		Scopes: s.scopes(sc.Scope), Resources: s.resources(sc.Resource), ResponseType: "code", GrantType: "authorization_code",
		PKCE: true, PAR: sc.PAR, Prompt: some(sc.Prompt), Source: broker.SourceInput{IP: orText(sc.Source, "192.0.2.1"), UserAgent: sc.UserAgent},
	}
	if sc.User != nil {
		out.Person = sc.User.input(at, s.Issuer)
	}
	if r := sc.Refresh; r != nil {
		out.Refresh = &rehearsal.Refresh{
			At: at.Add(r.After.Std()), Source: broker.SourceInput{IP: orText(r.Source, out.Request.Source.IP), UserAgent: sc.UserAgent}, Groups: r.Groups,
		}
		if r.Scope != "" {
			out.Refresh.Scopes = s.scopes(r.Scope)
		}
		if r.Resource != nil {
			out.Refresh.Resources = s.resources(r.Resource)
		}
	}
	return out
}

// input is the person as policies see them.
func (p Person) input(at time.Time, issuer string) *broker.UserInput {
	claims, amr := p.Claims, p.AMR
	if claims == nil {
		claims = map[string]any{}
	}
	if amr == nil {
		amr = []string{"pwd"}
	}
	return &broker.UserInput{
		Sub: p.Name, Groups: some(p.Groups), Claims: claims, ACR: p.ACR, AMR: amr, AuthTime: at.Add(-p.SignedIn.Std()).UTC(), Issuer: issuer,
	}
}

// scopes replaces {scopes}.
func (s Stage) scopes(text string) []string {
	out := []string{}
	for _, word := range strings.Fields(text) {
		if word == "{scopes}" {
			out = append(out, s.Scopes...)
			continue
		}
		out = append(out, word)
	}
	return out
}

// resources replaces {resource} and {resources}; nil asks for the first.
func (s Stage) resources(asked []string) []string {
	if asked == nil {
		asked = []string{"{resource}"}
	}
	out := []string{}
	for _, word := range asked {
		switch have := s.Offer.Resources; {
		case word == "{resource}" && len(have) > 0:
			out = append(out, have[0].ID)
		case word == "{resources}":
			for _, r := range have {
				out = append(out, r.ID)
			}
		default:
			out = append(out, word)
		}
	}
	return out
}

// published are the shipped documents by the client identifier inside.
func published() (map[string][]byte, error) {
	entries, err := shipped.ReadDir("documents")
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		body, err := shipped.ReadFile("documents/" + e.Name())
		if err != nil {
			return nil, err
		}
		var m struct {
			ClientID string `json:"client_id"`
		}
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, fmt.Errorf("documents/%s: %w", e.Name(), err)
		}
		out[m.ClientID] = body
	}
	return out, nil
}

// plausible is a document that a client of that host would publish; nil where
// the identifier is none.
func plausible(clientID string, redirect *string) []byte {
	id, err := cimd.Parse(clientID)
	if err != nil {
		return nil
	}
	uri := id.Origin() + "/callback"
	if redirect != nil {
		uri = *redirect
	}
	body, err := json.Marshal(map[string]any{
		"client_id": clientID, "client_name": "Plausible client", "redirect_uris": []string{uri},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	})
	if err != nil {
		return nil
	}
	return body
}

// some is list, never nil.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return slices.Clone(list)
}

func orText(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
