package server

import (
	"net/http"

	"github.com/rs/zerolog"

	"guestlist/broker"
)

// answer is what a reason gets over HTTP.
type answer struct {
	page     int           // status of the page
	redirect string        // error code on a redirect, once the redirect URI is proven; empty: a page all the same
	code     string        // error code in JSON (RFC 6749 section 5.2)
	status   int           // status of the JSON answer
	level    zerolog.Level // of the wide event
}

// answerFor is the one table from reasons to answers (design §8). Reasons
// without a row of their own take the row of their public reason.
func answerFor(r broker.Reason) answer {
	if a, ok := answers[r]; ok {
		return a
	}
	return publicAnswers[r.Public()]
}

// publicAnswers are the answers of the public reasons. Whatever a client
// presents at the token endpoint fails as invalid_grant unless a row below
// says otherwise.
var publicAnswers = map[broker.PublicReason]answer{
	broker.PublicClientNotAdmitted:   {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.PublicDocumentUnavailable: {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.PublicDocumentInvalid:     {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.PublicRequestInvalid:      {http.StatusBadRequest, "invalid_request", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.PublicSignInRequired:      {http.StatusUnauthorized, "login_required", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.PublicNotAllowedForYou:    {http.StatusForbidden, "access_denied", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.PublicTryLater:            {http.StatusTooManyRequests, "temporarily_unavailable", "temporarily_unavailable", http.StatusTooManyRequests, zerolog.InfoLevel},
	broker.PublicServerTrouble:       {http.StatusInternalServerError, "", "server_error", http.StatusInternalServerError, zerolog.ErrorLevel},
}

// answers are the reasons whose answer is their own.
var answers = map[broker.Reason]answer{
	broker.ReasonClientIDMalformed:    {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.ReasonClientIDUnknown:      {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.ReasonCIMDOff:              {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonPolicyDenied:         {http.StatusForbidden, "access_denied", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonPolicyError:          {http.StatusForbidden, "access_denied", "invalid_grant", http.StatusBadRequest, zerolog.ErrorLevel},
	broker.ReasonNoPolicyMatched:      {http.StatusForbidden, "access_denied", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonClientBlocked:        {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonHostBlocked:          {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonDocumentBlocked:      {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonResponseType:         {http.StatusBadRequest, "unsupported_response_type", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRequestObject:        {http.StatusBadRequest, "request_not_supported", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRequestURI:           {http.StatusBadRequest, "request_uri_not_supported", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonResourceUnknown:      {http.StatusBadRequest, "invalid_target", "invalid_target", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonScopeNotAllowed:      {http.StatusBadRequest, "invalid_scope", "invalid_scope", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonScopeMalformed:       {http.StatusBadRequest, "invalid_scope", "invalid_scope", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRedirectMismatch:     {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRedirectNotAllowed:   {http.StatusForbidden, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonPKCEFailed:           {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonGrantTypeUnsupported: {http.StatusBadRequest, "", "unsupported_grant_type", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonGrantTypeNotAllowed:  {http.StatusBadRequest, "", "unauthorized_client", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonClientAuthFailed:     {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.ReasonClientKeysChanged:    {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.WarnLevel},
	broker.ReasonAssertionInvalid:     {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.ReasonAssertionReplayed:    {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.WarnLevel},
	broker.ReasonClientEnded:          {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonClientRevoked:        {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonDocumentTooOld:       {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonDocumentWithdrawn:    {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonNothingWaits:         {http.StatusBadRequest, "", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonDocumentChanged:      {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonCodeUnknown:          {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonGrantSpent:           {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.WarnLevel},
	broker.ReasonResourceAuthFailed:   {http.StatusBadRequest, "", "invalid_client", http.StatusUnauthorized, zerolog.InfoLevel},
	broker.ReasonPersonGone:           {http.StatusForbidden, "access_denied", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRefreshUnknown:       {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRefreshExpired:       {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonRefreshReused:        {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.WarnLevel},
	broker.ReasonGrantEnded:           {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonGrantEndedByPolicy:   {http.StatusBadRequest, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonTicketInvalid:        {http.StatusBadRequest, "", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonTicketSpent:          {http.StatusConflict, "", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonCSRF:                 {http.StatusForbidden, "", "invalid_request", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonSignInRequired:       {http.StatusUnauthorized, "", "invalid_grant", http.StatusBadRequest, zerolog.InfoLevel},
	broker.ReasonStoreUnavailable:     {http.StatusServiceUnavailable, "", "temporarily_unavailable", http.StatusServiceUnavailable, zerolog.ErrorLevel},
	broker.ReasonStoreLow:             {http.StatusServiceUnavailable, "temporarily_unavailable", "temporarily_unavailable", http.StatusServiceUnavailable, zerolog.InfoLevel},
	broker.ReasonLogUnavailable:       {http.StatusServiceUnavailable, "", "temporarily_unavailable", http.StatusServiceUnavailable, zerolog.ErrorLevel},
}

// help is what a stranger reads about a public reason.
type help struct {
	title string
	text  string
	what  []string
}

// helps are the texts of the error pages and of /help/{reason}.
var helps = map[broker.PublicReason]help{
	broker.PublicClientNotAdmitted: {
		"This application is not admitted here",
		"The organisation that runs this server decides which applications may connect, and this one may not, at least not in this way.",
		[]string{"If you are a user: ask the people who run this server, and give them the request ID.",
			"If you run this server: guestlist audit why REQUEST_ID says which policy decided and what came nearest."},
	},
	broker.PublicDocumentUnavailable: {
		"The application's description could not be fetched",
		"An application names itself by the address of a document that describes it. That document could not be fetched just now.",
		[]string{"Try again in a minute.",
			"If you publish the application: serve the document over https with status 200, media type application/json, without redirects or compression.",
			"If you run this server: guestlist audit why REQUEST_ID says what went wrong."},
	},
	broker.PublicDocumentInvalid: {
		"The application's description is not valid",
		"The document that describes the application breaks a rule of the Client ID Metadata Document specification, or leaves nothing that works here.",
		[]string{"If you publish the application: check that client_id is exactly the document's address, that redirect_uris and client_name are there, and that no secret is.",
			"If you run this server: guestlist audit why REQUEST_ID names the rule."},
	},
	broker.PublicRequestInvalid: {
		"The request is not valid",
		"The application sent a request that cannot be followed, or this page was opened twice or too late.",
		[]string{"Go back to the application and start again. If this page comes back, allow cookies for this server.",
			"If you write the application: use response_type=code, PKCE with S256, a redirect_uri from your document, and each parameter once."},
	},
	broker.PublicSignInRequired: {
		"You need to sign in",
		"The request needs a signed-in person.",
		[]string{"Go back to the application and start again, then sign in when asked."},
	},
	broker.PublicNotAllowedForYou: {
		"You may not allow this",
		"The organisation that runs this server does not let you give this application what it asks for, or you refused it.",
		[]string{"Ask the people who run this server, and give them the request ID."},
	},
	broker.PublicTryLater: {
		"Please try again later",
		"There were too many attempts in a short time.",
		[]string{"Wait for as long as the page says, then try once more."},
	},
	broker.PublicServerTrouble: {
		"This server has a problem",
		"Nothing was allowed and nothing was lost. The people who run this server can see what happened.",
		[]string{"Try again in a minute.", "If you write the application: nothing is wrong with it; ask again when Retry-After says.", "If it stays: tell the people who run this server, and give them the request ID."},
	},
}
