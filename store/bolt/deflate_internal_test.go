package bolt

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// TestCodeStays: a file is unreadable with another one.
func TestCodeStays(t *testing.T) {
	const want = "44827e5dbdc53a8a0976d1ea8311b6432b0cbcae20ff52bb60c141b8b5a1fb75"
	if got := fmt.Sprintf("%x", sha256.Sum256(recordCode)); got != want {
		t.Errorf("the codes have digest %s, want %s for ever: give others another number", got, want)
	}
}

// inflate reads what a deflater wrote as any program would.
func inflate(written []byte) ([]byte, error) {
	whole := append(bytes.Clone(recordCode[:recordCodeBits/8]), written...)
	return io.ReadAll(flate.NewReaderDict(bytes.NewReader(whole), recordDict))
}

// returns fails the test unless text comes back.
func returns(t *testing.T, d *deflater, name string, text []byte) (written int) {
	t.Helper()
	out, ok := d.deflate([]byte("front"), text[:len(text)/3], nil, text[len(text)/3:])
	if !ok {
		return 0
	}
	rest, fronted := bytes.CutPrefix(out, []byte("front"))
	got, err := inflate(rest)
	if err != nil || !fronted || !bytes.Equal(got, text) {
		t.Errorf("%s: %d bytes came back as %d, %v", name, len(text), len(got), err)
	}
	return len(rest)
}

// TestDeflate writes every byte, every length and every kind of distance.
func TestDeflate(t *testing.T) {
	d, chance := newDeflater(), rand.NewChaCha8([32]byte{1})
	noise := make([]byte, textMax)
	chance.Read(noise)
	zeros := make([]byte, textMax)
	for _, n := range []int{0, 1, 5, 6, 7, 8, 9, 13, 14} {
		returns(t, d, "dictionary", recordDict[:n])
		returns(t, d, "bytes", noise[:n])
		returns(t, d, "zeros", zeros[:n])
	}
	returns(t, d, "the end of the dictionary", recordDict[len(recordDict)-200:])
	if returns(t, d, "the whole dictionary", recordDict) == 0 {
		t.Error("the dictionary itself was not taken")
	}
	for b := range 256 {
		returns(t, d, "byte", append(bytes.Repeat([]byte{byte(b)}, 3), recordDict[:60]...))
	}
	for length := hashed; length < 2*matchMax+20; length++ {
		if returns(t, d, "length", append(append(bytes.Clone(noise[:length]), zeros[:40]...), append(noise[:length:length], zeros[:900]...)...)) == 0 {
			t.Errorf("length %d was not taken", length)
		}
	}
	most := textMax - 1 - len(recordDict)
	for distance := 1; distance <= most-300; distance += 1 + distance/7 {
		text := append(bytes.Clone(noise[:20]), bytes.Repeat([]byte{'.'}, distance)...)
		if returns(t, d, "distance", append(text, noise[:20]...)) == 0 && distance > 100 {
			t.Errorf("distance %d was not taken", distance)
		}
	}
	if returns(t, d, "the longest", zeros[:most]) == 0 {
		t.Errorf("%d bytes were not taken", most)
	}
	if _, ok := d.deflate(nil, zeros[:most], zeros[:1]); ok {
		t.Errorf("%d bytes were taken", most+1)
	}
	if _, ok := d.deflate(nil, noise[:5000]); ok {
		t.Error("noise was taken, though it grows")
	}
}

// TestDeflateManyTexts: texts like records with anything between.
func TestDeflateManyTexts(t *testing.T) {
	d, chance := newDeflater(), rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var text []byte
		for range chance.IntN(40) {
			switch at := chance.IntN(len(recordDict) - 300); chance.IntN(4) {
			case 0:
				text = fmt.Appendf(text, "%x", chance.Uint64())
			case 1:
				text = append(text, bytes.Repeat([]byte{byte(chance.Uint32())}, chance.IntN(600))...)
			case 2:
				if len(text) > 0 {
					text = append(text, text[chance.IntN(len(text)):]...)
				}
			default:
				text = append(text, recordDict[at:at+chance.IntN(300)]...)
			}
			text = text[:min(len(text), 20_000)]
		}
		returns(t, d, "text", text)
	}
}

// FuzzDeflate: whatever is taken comes back.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(recordDict[500:2500])
	f.Add([]byte(strings.Repeat("<&>\u2028\xff", 20)))
	d := newDeflater()
	f.Fuzz(func(t *testing.T, text []byte) { returns(t, d, "text", text) })
}

// golden are the records of every event, sealed.
func golden(t testing.TB) map[string]decisionlog.Sealed {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "records", "*.json"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d golden records, %v", len(files), err)
	}
	out := map[string]decisionlog.Sealed{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r decisionlog.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		if out[r.Event], err = decisionlog.Seal(12_345, r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestPackIsSmaller: the codes for all take no more than codes of a record's
// own would, and what is packed in either form comes back.
func TestPackIsSmaller(t *testing.T) {
	var p packer
	var u unpacker
	for event, s := range golden(t) {
		short, err := p.pack(s)
		if err != nil || !bytes.HasPrefix(short, coded) {
			t.Fatalf("%s: pack = % x, %v, want it coded", event, short[:2], err)
		}
		long, err := p.packLong(parts(s))
		if err != nil || !bytes.HasPrefix(long, deflated) {
			t.Fatalf("%s: packLong = % x, %v, want it deflated", event, long[:2], err)
		}
		if len(short) > len(long) {
			t.Errorf("%s takes %d bytes, with codes of its own %d", event, len(short), len(long))
		}
		for _, raw := range [][]byte{short, long} {
			header, salt, body, err := u.unpack(raw)
			if err != nil || !bytes.Equal(header, s.Header) || !bytes.Equal(salt, s.Salt) || !bytes.Equal(body, s.Body) {
				t.Errorf("%s: % x came back as %s, %v", event, raw[:2], header, err)
			}
		}
	}
}

// BenchmarkPack compresses an admission with codes that are ready, and with
// compress/flate.
func BenchmarkPack(b *testing.B) {
	var p packer
	s := golden(b)[decisionlog.EventAdmissionDecided]
	for _, test := range []struct {
		name string
		pack func() ([]byte, error)
	}{
		{"coded", func() ([]byte, error) { return p.pack(s) }},
		{"deflated", func() ([]byte, error) { return p.packLong(parts(s)) }},
	} {
		b.Run(test.name, func(b *testing.B) {
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				out, err := test.pack()
				if err != nil {
					b.Fatal(err)
				}
				n = len(out)
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
