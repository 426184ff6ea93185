package bolt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// appendRecord seals r, stores it and notes it for its summary.
func (t *txn) appendRecord(r decisionlog.Record) error {
	seq := t.st.Seq + 1
	sealed, err := t.seal.Seal(seq, r)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	packed, err := t.pack.pack(sealed)
	if err != nil {
		return fmt.Errorf("%w: compress a record: %w", store.ErrUnavailable, err)
	}
	if err := t.put(recordBucket, seqKey(seq), packed); err != nil {
		return err
	}
	if err := t.summarise(seq, r); err != nil {
		return err
	}
	t.countHits(r)
	t.st.Seq, t.appended = seq, true
	return nil
}

// record returns a copy of one sealed record.
func (v view) record(seq uint64) (decisionlog.Sealed, error) {
	key := seqKey(seq)
	raw, err := v.get(recordBucket, key)
	if err != nil {
		return decisionlog.Sealed{}, err
	}
	header, salt, body, err := v.unpack.unpack(raw)
	if err != nil {
		return decisionlog.Sealed{}, damaged(recordBucket, key, err.Error())
	}
	s := decisionlog.Sealed{Seq: seq, Header: bytes.Clone(header)}
	if len(body) > 0 {
		s.Salt, s.Body = bytes.Clone(salt), bytes.Clone(body)
	}
	return s, nil
}

// facts are the part of a record's header that queries look at.
type facts struct {
	Timestamp     time.Time         `json:"timestamp"`
	RequestID     string            `json:"request_id"`
	LastRequestID string            `json:"last_request_id"`
	DecisionID    string            `json:"decision_id"`
	ClientID      string            `json:"client_id"`
	Subject       string            `json:"subject"`
	Actor         string            `json:"actor"`
	GrantID       string            `json:"grant_id"`
	Event         string            `json:"event"`
	Outcome       string            `json:"outcome"`
	Reason        string            `json:"reason"`
	PublicReason  string            `json:"public_reason"`
	Refreshed     bool              `json:"refreshed"`
	Policy        []string          `json:"policy"`
	Labels        map[string]string `json:"labels"`
	Phases        []struct {
		Denials []struct {
			Policy string `json:"policy"`
		} `json:"denials"`
	} `json:"phases"`
}

// factsOf reads what queries look at, without the body.
func factsOf(s decisionlog.Sealed) (decisionlog.Record, error) {
	var f facts
	if err := json.Unmarshal(s.Header, &f); err != nil {
		return decisionlog.Record{}, damaged(recordBucket, seqKey(s.Seq), err.Error())
	}
	r := decisionlog.Record{
		Timestamp: f.Timestamp, RequestID: f.RequestID, LastRequestID: f.LastRequestID, DecisionID: f.DecisionID, ClientID: f.ClientID,
		Subject: f.Subject, Actor: f.Actor, GrantID: f.GrantID, Event: f.Event, Outcome: f.Outcome, Reason: f.Reason, PublicReason: f.PublicReason,
		Refreshed: f.Refreshed, Policy: f.Policy, Labels: f.Labels,
	}
	for _, p := range f.Phases {
		var phase decisionlog.Phase
		for _, d := range p.Denials {
			phase.Denials = append(phase.Denials, decisionlog.Denial{Policy: d.Policy})
		}
		r.Phases = append(r.Phases, phase)
	}
	return r, nil
}
