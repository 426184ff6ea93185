package server

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
)

// TestTextBytesBoundsTheTicket: what fits lets through without marshalling is
// never longer than it reckons, and no text of a ticket is left out of it.
func TestTextBytesBoundsTheTicket(t *testing.T) {
	long := time.Date(2026, 11, 25, 12, 0, 0, 123456789, time.FixedZone("", 5*3600+1800))
	for _, text := range []string{"", "a", "<", "\x01", "\u2028", strings.Repeat("\"&é", 50)} {
		full := ticket{Until: long, Login: long, Before: long, Incarnation: math.MaxUint64}
		fill(reflect.ValueOf(&full).Elem(), text)
		b, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		if bound := ticketBytes + 6*full.textBytes(); len(b) > bound {
			t.Errorf("texts %.10q: the ticket takes %d bytes, reckoned at most %d", text, len(b), bound)
		}
	}
	a, b := ticket{}, ticket{}
	fill(reflect.ValueOf(&a).Elem(), "")
	fill(reflect.ValueOf(&b).Elem(), "x")
	texts := fill(reflect.ValueOf(&ticket{}).Elem(), "x")
	if got := b.textBytes() - a.textBytes(); got != texts {
		t.Errorf("textBytes counts %d texts, the ticket has %d", got, texts)
	}
	if (ticket{State: strings.Repeat("a", maxTicket)}).fits(broker.Request{}) {
		t.Error("a ticket with a state as long as all of it fits")
	}
}

// fill sets every text below v, two in each list, and counts them.
func fill(v reflect.Value, text string) int {
	n := 0
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		n = 1
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		n = fill(v.Index(0), text) + fill(v.Index(1), text)
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			n += fill(v.Field(i), text)
		}
	case v.Kind() == reflect.Bool:
		v.SetBool(false) // false is the longer word
	}
	return n
}
