package admin

// WithPeer lets a test speak as any user: another user's connection cannot
// be made without the right to become that user.
var WithPeer = withPeer
