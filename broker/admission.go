package broker

import "time"

// Admission is a client that may act now.
type Admission struct {
	Client      Client       // as stored, or as staged
	Decision    Decision     // of the last phase asked
	RedirectURI string       // proven: one of the document's and allowed; set with an error too when it was proven
	Known       Registration // how the client is known now, which its row may not say yet
	Registered  string       // the entry of redirect_uris that matched
	Request     RequestInput
	Reused      bool // admitted from the stored row alone
	Revision    string
	Epoch       uint64
	DecisionID  string // of its record, with an error too
	From        string // where the document came from that was judged at the start of a flow: see ProvenanceInput; else empty
}

// ClientEnd is how far something that lives until end may move the end of the
// client: never past client_ttl, counted from the last fetch or creation
// (design §5).
func (a Admission) ClientEnd(end time.Time) time.Time {
	if limit := a.Client.FetchedAt.Add(a.Decision.Settings.ClientTTL.Std()); end.After(limit) {
		return limit
	}
	return end
}
