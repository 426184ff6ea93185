package export

import (
	"bytes"
	"context"
	"io"
)

// Writer is a sink that is only written to, such as the standard output. What
// is written counts as taken: nobody can say whether a reader has it. A write
// that hangs cannot be ended.
type Writer struct {
	W io.Writer // JSON lines; used by nobody else
}

// Send implements Sink.
func (w Writer) Send(_ context.Context, records []Record) error {
	b := lines(records)
	n, err := w.W.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// lines are records as JSON lines.
func lines(records []Record) []byte {
	var b bytes.Buffer
	for _, r := range records {
		b.Write(r.Line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
