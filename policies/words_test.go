package policies_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"guestlist/policies"
)

// TestWordsInManyWays: a misspelt value is told once for each place that has it,
// and looking for it ends, however many ways lead there: of four names with 100
// rules each there are 100 million.
func TestWordsInManyWays(t *testing.T) {
	t.Parallel()
	const ways = 100
	var b strings.Builder
	b.WriteString("package admission.policies.p\n\n" + admits + "\n")
	for name, next := range map[string]string{"_a": "_b", "_b": "_c", "_c": "_d", "_d": `"urk"`} {
		for i := range ways {
			fmt.Fprintf(&b, "%s := %s if input.client.host == \"h%d.example\"\n\n", name, next, i)
		}
	}
	b.WriteString("deny contains {\"code\": \"c\", \"message\": \"m\"} if input.phase == _a\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, findings, err := policies.Load(context.Background(), policies.Config{FS: files{"p.rego": b.String()}.fs()})
		told := 0
		for _, f := range findings {
			if f.Code == "value_unknown" {
				told++
			}
		}
		if err != nil || told != ways {
			t.Errorf("Load = %v with %d words that are none, want %d", err, told, ways)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("Load has not come to an end in a minute")
	}
}
