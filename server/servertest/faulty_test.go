package servertest_test

import (
	"errors"
	"reflect"
	"testing"

	"guestlist/server/servertest"
	"guestlist/store"
)

// TestFaultyFailsEverything: every method that can fail does, before it reaches
// the store behind it, of which there is none here.
func TestFaultyFailsEverything(t *testing.T) {
	t.Parallel()
	f := &servertest.Faulty{Store: nothing{}}
	units := reflect.TypeFor[store.Unit]()
	n := 0
	for _, of := range []reflect.Type{reflect.TypeFor[store.Store](), units} {
		for i := range of.NumMethod() {
			m := of.Method(i)
			last := m.Type.NumOut() - 1
			if last < 0 || m.Type.Out(last) != reflect.TypeFor[error]() || m.Name == "Close" || m.Name == "Healthy" {
				continue
			}
			n++
			f.Arm(servertest.FaultRefused, 1)
			on := reflect.ValueOf(f)
			if of == units {
				on = reflect.ValueOf(f.Begin())
			}
			args := make([]reflect.Value, m.Type.NumIn())
			for j := range args {
				args[j] = reflect.Zero(m.Type.In(j))
			}
			if m.Name == "Commit" {
				args[1] = reflect.ValueOf(f.Begin())
			}
			out := on.MethodByName(m.Name).Call(args)
			if err, _ := out[last].Interface().(error); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s() = %v, want that the store is unavailable", m.Name, err)
			}
			if struck := f.Heal(); struck != m.Name {
				t.Errorf("%s failed as %q", m.Name, struck)
			}
		}
	}
	if n < 25 {
		t.Errorf("%d methods can fail, want all", n)
	}
}

// nothing begins units and does nothing else.
type nothing struct{ store.Store }

// Begin implements store.Store.
func (nothing) Begin() store.Unit { return nil }
