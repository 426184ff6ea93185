package decisionlog

// The events. Each is described in the table behind Events; one name has one
// meaning for ever.
const (
	EventAdmissionDecided = "admission.decided"

	EventDocumentFetched   = "document.fetched"
	EventDocumentChanged   = "document.changed"
	EventDocumentWithdrawn = "document.withdrawn"
	EventDocumentPinned    = "document.pinned"
	EventDocumentUnpinned  = "document.unpinned"
	EventDocumentApproved  = "document.approved"

	EventClientExpired     = "client.expired"
	EventClientPruned      = "client.pruned"
	EventClientBlocked     = "client.blocked"
	EventClientUnblocked   = "client.unblocked"
	EventClientRevoked     = "client.revoked"
	EventClientsRevoked    = "clients.revoked"
	EventClientKeysChanged = "client.keys_changed"

	EventPersonSignedIn     = "person.signed_in"
	EventPersonSignInFailed = "person.sign_in_failed"
	EventPersonSignedOut    = "person.signed_out"

	EventConsentGranted   = "consent.granted"
	EventConsentRefused   = "consent.refused"
	EventConsentWithdrawn = "consent.withdrawn"

	EventTokenIssued          = "token.issued"
	EventTokenRefreshed       = "token.refreshed"
	EventTokenRepeatedInGrace = "token.repeated_in_grace"
	EventTokenReuseDetected   = "token.reuse_detected"
	EventTokenReplayDetected  = "token.replay_detected"
	EventTokenRevoked         = "token.revoked"
	EventTokenIntrospected    = "token.introspected"
	EventGrantEnded           = "grant.ended"

	EventPolicyActivated   = "policy.activated"
	EventPolicyRejected    = "policy.rejected"
	EventPolicyReloadAsked = "policy.reload_asked"
	EventFactsChanged      = "facts.changed"
	EventFactsRejected     = "facts.rejected"
	EventKeysRotated       = "keys.rotated"
	EventKeysRotationAsked = "keys.rotation_asked"
	EventKeysDestroyed     = "keys.destroyed"
	EventConfigReloaded    = "config.reloaded"

	EventAdminRequest   = "admin.request"
	EventLogExported    = "log.exported"
	EventLogErased      = "log.erased"
	EventLogHeld        = "log.held"
	EventLogReleased    = "log.released"
	EventRequestRefused = "request.refused"
)
