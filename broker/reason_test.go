package broker_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"guestlist/broker"
)

// constants reads the string constants of one type from the source.
func constants(t *testing.T, typ string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typ {
			v, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = v
		}
		return true
	})
	return found
}

func TestEveryReasonIsDocumentedOnce(t *testing.T) {
	publics := constants(t, "PublicReason")
	if len(publics) != 8 {
		t.Errorf("%d public reasons, want the 8 of design §8", len(publics))
	}
	known := map[broker.PublicReason]bool{}
	for _, v := range publics {
		known[broker.PublicReason(v)] = true
	}
	docs := map[broker.Reason]broker.ReasonDoc{}
	meanings := map[string]broker.Reason{}
	for _, d := range broker.Reasons() {
		docs[d.Reason] = d
		if other, twice := meanings[d.Meaning]; twice {
			t.Errorf("%s and %s have one meaning", d.Reason, other)
		}
		meanings[d.Meaning] = d.Reason
	}
	names := map[broker.Reason]string{}
	code := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for name, v := range constants(t, "Reason") {
		r := broker.Reason(v)
		if other, twice := names[r]; twice {
			t.Errorf("%s and %s are one reason, %s", name, other, r)
		}
		names[r] = name
		d, ok := docs[r]
		if !ok || d.Meaning == "" || d.Meaning != r.Meaning() || !known[d.Public] || d.Public != r.Public() {
			t.Errorf("%s (%s) = %+v, want a row with a meaning and a known public reason", name, r, d)
		}
		if !code.MatchString(v) {
			t.Errorf("%s = %q, want snake_case", name, v)
		}
	}
	if len(names) == 0 || len(names) != len(docs) {
		t.Errorf("%d constants and %d rows, want the same", len(names), len(docs))
	}
	if !slices.IsSortedFunc(broker.Reasons(), func(a, b broker.ReasonDoc) int {
		return slices.Compare([]byte(a.Reason), []byte(b.Reason))
	}) {
		t.Error("Reasons() is not in alphabetical order")
	}
}

// Strangers cannot read the guest list from the answers (design §8): what
// tells a named client from an unnamed one before any fetch looks alike, and
// so do all fetch failures.
func TestPublicReasonsTellNothingApart(t *testing.T) {
	alike := map[broker.PublicReason][]broker.Reason{
		broker.PublicClientNotAdmitted: {broker.ReasonNoPolicyMatched, broker.ReasonPolicyDenied, broker.ReasonPolicyError,
			broker.ReasonCIMDOff, broker.ReasonClientIDMalformed, broker.ReasonClientIDUnknown},
		broker.PublicDocumentUnavailable: {broker.ReasonFetchBlockedAddress, broker.ReasonFetchDNS, broker.ReasonFetchTimeout,
			broker.ReasonFetchTLS, broker.ReasonFetchConnect, broker.ReasonFetchProxy, broker.ReasonFetchStatus, broker.ReasonFetchRedirect,
			broker.ReasonFetchContentType, broker.ReasonFetchEncoding, broker.ReasonFetchTooLarge, broker.ReasonFetchFailed},
		broker.PublicServerTrouble: {broker.ReasonStoreUnavailable, broker.ReasonLogUnavailable, "never_heard_of"},
	}
	for public, reasons := range alike {
		for _, r := range reasons {
			if got := r.Public(); got != public {
				t.Errorf("%s.Public() = %s, want %s (B35)", r, got, public)
			}
		}
	}
}

func TestReasonOf(t *testing.T) {
	cause := errors.New("cause")
	e := &broker.Error{Reason: broker.ReasonPolicyDenied, Detail: "detail", Err: cause}
	for _, test := range []struct {
		err  error
		want broker.Reason
	}{
		{e, broker.ReasonPolicyDenied},
		{fmt.Errorf("step: %w", e), broker.ReasonPolicyDenied},
		{cause, broker.ReasonServerTrouble},
	} {
		if got := broker.ReasonOf(test.err); got != test.want {
			t.Errorf("ReasonOf(%v) = %s, want %s", test.err, got, test.want)
		}
	}
	if got, want := e.Error(), "policy_denied: detail: cause"; got != want || !errors.Is(e, cause) {
		t.Errorf("Error() = %q, want %q and its cause inside", got, want)
	}
	twice := broker.Refuse(broker.ReasonDocumentNotJSON, "document_not_json (D1): the document is empty")
	if got, want := twice.Error(), "document_not_json (D1): the document is empty"; got != want {
		t.Errorf("Error() = %q, want the reason once: %q", got, want)
	}
	if d := broker.Refuse(broker.ReasonPolicyDenied, "secret of the operator").Detail; d != "" {
		t.Errorf("Refuse().Detail = %q, want nothing for strangers", d)
	}
}

// Which refusals are summarised in a flood is decided for each reason: those of
// blocks, token reuse and bad assertions never are (design §6). A new reason
// needs its line here.
func TestEveryReasonIsSingleOrNot(t *testing.T) {
	single := map[broker.Reason]bool{
		// An operator keeps somebody out.
		broker.ReasonClientBlocked: true, broker.ReasonHostBlocked: true, broker.ReasonDocumentBlocked: true,
		// A code or refresh token came again.
		broker.ReasonGrantSpent: true, broker.ReasonRefreshReused: true,
		// An assertion that does not prove the client, came again, or is by a strange key.
		broker.ReasonAssertionInvalid: true, broker.ReasonAssertionReplayed: true, broker.ReasonClientKeysChanged: true,

		// A guardrail's refusal is told by its phase, not by these.
		broker.ReasonPolicyDenied: false, broker.ReasonPolicyError: false, broker.ReasonGrantEndedByPolicy: false, broker.ReasonSettingsDemand: false,
		// Anybody can be refused so for nothing, as often as they like.
		broker.ReasonClientIDMalformed: false, broker.ReasonClientIDUnknown: false, broker.ReasonNoPolicyMatched: false, broker.ReasonCIMDOff: false,
		broker.ReasonQueryNotAllowed: false, broker.ReasonRateLimited: false, broker.ReasonFetchPaced: false, broker.ReasonClientCapReached: false,
		broker.ReasonFetchBlockedAddress: false, broker.ReasonFetchDNS: false, broker.ReasonFetchTimeout: false, broker.ReasonFetchTLS: false,
		broker.ReasonFetchConnect: false, broker.ReasonFetchProxy: false, broker.ReasonFetchStatus: false, broker.ReasonFetchRedirect: false,
		broker.ReasonFetchContentType: false, broker.ReasonFetchEncoding: false, broker.ReasonFetchTooLarge: false, broker.ReasonFetchFailed: false,
		broker.ReasonDocumentNotJSON: false, broker.ReasonDocumentNoClientID: false, broker.ReasonDocumentMismatch: false, broker.ReasonDocumentSecret: false,
		broker.ReasonDocumentPrivateKey: false, broker.ReasonDocumentRedirects: false, broker.ReasonDocumentAuthMethod: false,
		broker.ReasonDocumentNothingUsable: false, broker.ReasonDocumentDemands: false, broker.ReasonDocumentMember: false, broker.ReasonDocumentName: false,
		broker.ReasonRequestInvalid: false, broker.ReasonResponseType: false, broker.ReasonRequestObject: false, broker.ReasonRequestURI: false,
		broker.ReasonLoginRequired: false, broker.ReasonRedirectMismatch: false, broker.ReasonRedirectNotAllowed: false, broker.ReasonPKCERequired: false,
		broker.ReasonResourceUnknown: false, broker.ReasonScopeNotAllowed: false, broker.ReasonScopeMalformed: false,
		broker.ReasonGrantTypeUnsupported: false, broker.ReasonGrantTypeNotAllowed: false, broker.ReasonClientAuthFailed: false,
		broker.ReasonCodeUnknown: false, broker.ReasonRefreshUnknown: false, broker.ReasonResourceAuthFailed: false, broker.ReasonTicketInvalid: false,
		broker.ReasonCSRF: false, broker.ReasonSignInFailed: false, broker.ReasonSignInThrottled: false, broker.ReasonSignInRequired: false,
		// A token or page that was good once is asked for again and again.
		broker.ReasonPKCEFailed: false, broker.ReasonClientEnded: false, broker.ReasonClientRevoked: false, broker.ReasonDocumentTooOld: false,
		broker.ReasonDocumentChanged: false, broker.ReasonDocumentWithdrawn: false, broker.ReasonRefreshExpired: false, broker.ReasonTokenRevoked: false,
		broker.ReasonGrantEnded: false, broker.ReasonTicketSpent: false, broker.ReasonPersonGone: false,
		// A person's, whom each costs a page, or an operator's, whose records are never summarised.
		broker.ReasonConsentRefused: false, broker.ReasonConsentWithdrawn: false, broker.ReasonGroupRequired: false, broker.ReasonNothingWaits: false,
		// The server's own trouble.
		broker.ReasonStoreUnavailable: false, broker.ReasonLogUnavailable: false, broker.ReasonServerTrouble: false, broker.ReasonStoreLow: false,
	}
	for _, d := range broker.Reasons() {
		want, decided := single[d.Reason]
		if !decided || d.Single != want || broker.Single(string(d.Reason)) != want {
			t.Errorf("%s: Single = %v, want %v; decided: %v", d.Reason, d.Single, want, decided)
		}
		delete(single, d.Reason)
	}
	if len(single) > 0 {
		t.Errorf("decided about what is no reason: %v", single)
	}
	if !broker.Single("never_heard_of") {
		t.Error("an unknown reason is summarised")
	}
}
