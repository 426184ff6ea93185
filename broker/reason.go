package broker

import "sort"

// Reason is a stable code that says why something was refused or ended. One
// reason has one meaning for ever; a reason is never used again for another.
type Reason string

// The reasons. Each is described in the table behind Reasons.
const (
	ReasonClientIDMalformed     Reason = "client_id_malformed"
	ReasonClientIDUnknown       Reason = "client_id_unknown"
	ReasonNoPolicyMatched       Reason = "no_policy_matched"
	ReasonPolicyDenied          Reason = "policy_denied"
	ReasonPolicyError           Reason = "policy_error"
	ReasonCIMDOff               Reason = "cimd_off"
	ReasonClientBlocked         Reason = "client_blocked"
	ReasonHostBlocked           Reason = "host_blocked"
	ReasonDocumentBlocked       Reason = "document_blocked"
	ReasonClientRevoked         Reason = "client_revoked"
	ReasonQueryNotAllowed       Reason = "client_id_query_not_allowed"
	ReasonRateLimited           Reason = "rate_limited"
	ReasonFetchPaced            Reason = "fetch_paced"
	ReasonClientCapReached      Reason = "client_cap_reached"
	ReasonFetchBlockedAddress   Reason = "fetch_blocked_address"
	ReasonFetchDNS              Reason = "fetch_dns"
	ReasonFetchTimeout          Reason = "fetch_timeout"
	ReasonFetchTLS              Reason = "fetch_tls"
	ReasonFetchConnect          Reason = "fetch_connect"
	ReasonFetchProxy            Reason = "fetch_proxy"
	ReasonFetchStatus           Reason = "fetch_status"
	ReasonFetchRedirect         Reason = "fetch_redirect"
	ReasonFetchContentType      Reason = "fetch_content_type"
	ReasonFetchEncoding         Reason = "fetch_encoding"
	ReasonFetchTooLarge         Reason = "fetch_too_large"
	ReasonFetchFailed           Reason = "fetch_failed"
	ReasonDocumentNotJSON       Reason = "document_not_json"
	ReasonDocumentNoClientID    Reason = "document_client_id_missing"
	ReasonDocumentMismatch      Reason = "document_client_id_mismatch"
	ReasonDocumentSecret        Reason = "document_secret_present"
	ReasonDocumentPrivateKey    Reason = "document_private_key"
	ReasonDocumentRedirects     Reason = "document_redirects_invalid"
	ReasonDocumentAuthMethod    Reason = "document_auth_method_unsupported"
	ReasonDocumentNothingUsable Reason = "document_nothing_usable"
	ReasonDocumentDemands       Reason = "document_demands_unsupported"
	ReasonSettingsDemand        Reason = "settings_demand_unsupported"
	ReasonDocumentMember        Reason = "document_member_invalid"
	ReasonDocumentName          Reason = "document_name_missing"
	ReasonDocumentTooOld        Reason = "document_too_old"
	ReasonDocumentChanged       Reason = "document_changed"
	ReasonDocumentWithdrawn     Reason = "document_withdrawn"
	ReasonNothingWaits          Reason = "nothing_waits"
	ReasonRequestInvalid        Reason = "request_invalid"
	ReasonResponseType          Reason = "response_type_unsupported"
	ReasonRequestObject         Reason = "request_object_unsupported"
	ReasonRequestURI            Reason = "request_uri_unsupported"
	ReasonLoginRequired         Reason = "login_required"
	ReasonRedirectMismatch      Reason = "redirect_uri_mismatch"
	ReasonRedirectNotAllowed    Reason = "redirect_uri_not_allowed"
	ReasonPKCERequired          Reason = "pkce_required"
	ReasonPKCEFailed            Reason = "pkce_failed"
	ReasonResourceUnknown       Reason = "resource_unknown"
	ReasonScopeNotAllowed       Reason = "scope_not_allowed"
	ReasonScopeMalformed        Reason = "scope_malformed"
	ReasonGrantTypeUnsupported  Reason = "grant_type_unsupported"
	ReasonGrantTypeNotAllowed   Reason = "grant_type_not_allowed"
	ReasonClientAuthFailed      Reason = "client_authentication_failed"
	ReasonClientKeysChanged     Reason = "client_keys_changed"
	ReasonAssertionInvalid      Reason = "assertion_invalid"
	ReasonAssertionReplayed     Reason = "assertion_replayed"
	ReasonClientEnded           Reason = "client_ended"
	ReasonCodeUnknown           Reason = "code_unknown"
	ReasonGrantSpent            Reason = "grant_spent"
	ReasonPersonGone            Reason = "person_gone"
	ReasonResourceAuthFailed    Reason = "resource_authentication_failed"
	ReasonRefreshUnknown        Reason = "refresh_token_unknown"
	ReasonRefreshExpired        Reason = "refresh_token_expired"
	ReasonRefreshReused         Reason = "refresh_reused"
	ReasonTokenRevoked          Reason = "token_revoked"
	ReasonGrantEnded            Reason = "grant_ended"
	ReasonGrantEndedByPolicy    Reason = "grant_ended_by_policy"
	ReasonTicketInvalid         Reason = "ticket_invalid"
	ReasonTicketSpent           Reason = "ticket_spent"
	ReasonCSRF                  Reason = "csrf_failed"
	ReasonSignInFailed          Reason = "sign_in_failed"
	ReasonSignInThrottled       Reason = "sign_in_throttled"
	ReasonSignInRequired        Reason = "sign_in_required"
	ReasonConsentRefused        Reason = "consent_refused"
	ReasonConsentWithdrawn      Reason = "consent_withdrawn"
	ReasonGroupRequired         Reason = "group_required"
	ReasonStoreUnavailable      Reason = "store_unavailable"
	ReasonLogUnavailable        Reason = "log_unavailable"
	ReasonStoreLow              Reason = "store_low"
	ReasonServerTrouble         Reason = "server_trouble"
)

// PublicReason is what a stranger may learn: few enough that nobody can read
// the guest list from it (design §8).
type PublicReason string

// The public reasons. Each has a help page at /help/{reason}.
const (
	PublicClientNotAdmitted   PublicReason = "client_not_admitted"
	PublicDocumentUnavailable PublicReason = "document_unavailable"
	PublicDocumentInvalid     PublicReason = "document_invalid"
	PublicRequestInvalid      PublicReason = "request_invalid"
	PublicSignInRequired      PublicReason = "sign_in_required"
	PublicNotAllowedForYou    PublicReason = "not_allowed_for_you"
	PublicTryLater            PublicReason = "try_later"
	PublicServerTrouble       PublicReason = "server_trouble"
)

// ReasonDoc documents one reason.
type ReasonDoc struct {
	Reason  Reason       // the code
	Public  PublicReason // what a stranger is told instead
	Meaning string       // one sentence for the operator
	Single  bool         // every refusal for it keeps a record of its own, in a flood too (design §6)
}

// Public returns what a stranger may learn of r. A reason without a row in
// the table counts as server_trouble, so that nothing leaks by omission.
func (r Reason) Public() PublicReason {
	if d, ok := reasonDocs[r]; ok {
		return d.Public
	}
	return PublicServerTrouble
}

// Single reports whether every refusal for a reason keeps a record of its own,
// in a flood too: blocks, token reuse and bad assertions. Refusals by guardrails
// do so whatever their reason is. A reason without a row does.
func Single(reason string) bool {
	d, ok := reasonDocs[Reason(reason)]
	return !ok || d.Single
}

// Meaning returns the operator's sentence for r, empty for an unknown code.
func (r Reason) Meaning() string { return reasonDocs[r].Meaning }

// Reasons lists every documented reason in alphabetical order.
func Reasons() []ReasonDoc {
	out := make([]ReasonDoc, 0, len(reasonDocs))
	for r, d := range reasonDocs {
		d.Reason = r
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Reason < out[j].Reason })
	return out
}
