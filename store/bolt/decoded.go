package bolt

import (
	"bytes"
	"sync"
	"sync/atomic"

	"guestlist/broker"
)

// maxDecoded bounds the stored bytes of client rows whose decoded form is
// kept.
const maxDecoded = 2 << 20

// decoded remembers the state and client rows in their decoded form beside the bytes that
// they were decoded from, because each step of each flow reads the row of its
// client. A row is read and its checksum proven every time all the same; only
// equal bytes are not decoded again. The zero value is ready.
type decoded struct {
	last atomic.Pointer[decodedState]

	mu    sync.Mutex
	rows  map[string]decodedRow
	bytes int // of raw and documents in rows, more when rows were replaced
}

type decodedRow struct {
	raw []byte
	row broker.Client
}

// decodedState is a state beside the bytes that it was decoded from.
type decodedState struct {
	raw []byte
	st  state
}

// state is view.state.
func (d *decoded) state(v view) (state, error) {
	raw, err := v.get(metaBucket, []byte(stateKey))
	if err != nil {
		return state{}, err
	}
	if known := d.last.Load(); known != nil && raw != nil && bytes.Equal(known.raw, raw) {
		return known.st, nil
	}
	st, err := v.state()
	if err == nil {
		d.last.Store(&decodedState{bytes.Clone(raw), st})
	}
	return st, err
}

// client is load for a client row.
func (d *decoded) client(v view, id string) (broker.Client, bool, error) {
	key := []byte(id)
	raw, err := v.get(clientBucket, key)
	if err != nil || raw == nil {
		return broker.Client{}, false, err
	}
	d.mu.Lock()
	known := d.rows[id]
	d.mu.Unlock()
	if known.raw != nil && bytes.Equal(known.raw, raw) {
		return known.row, true, nil
	}
	row, ok, err := v.client(key)
	if err != nil || !ok {
		return row, ok, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows == nil || d.bytes+len(raw)+len(row.Published) > maxDecoded {
		d.rows, d.bytes = map[string]decodedRow{}, 0
	}
	d.rows[id] = decodedRow{bytes.Clone(raw), row} // raw itself ends with the view
	d.bytes += len(raw) + len(row.Published)
	return row, true, nil
}
