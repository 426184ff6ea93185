package decisionlog

import "context"

// Log is what an exporter reads and where it remembers how far it came.
type Log interface {
	// Next returns up to max records behind after, oldest first.
	Next(ctx context.Context, after uint64, max int) ([]Sealed, error)
	// Last returns the place of the newest record; zero in a log without any.
	Last(ctx context.Context) (uint64, error)
	// Changed returns a channel that is closed after the next append.
	Changed() <-chan struct{}
	// Position returns the remembered position of the named exporter; zero
	// when there is none.
	Position(ctx context.Context, name string) (uint64, error)
	// Remember stores the position of the named exporter.
	Remember(ctx context.Context, name string, seq uint64) error
}
