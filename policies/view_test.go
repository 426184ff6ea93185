package policies_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins/logs"
)

// TestViewOfOpenPolicyAgent: what the view opa writes is a decision log event
// as Open Policy Agent itself declares it, member for member (PF-37).
func TestViewOfOpenPolicyAgent(t *testing.T) {
	files, err := filepath.Glob("../broker/decisionlog/testdata/view/opa_*.json")
	native, _ := filepath.Glob("../broker/decisionlog/testdata/view/native_*.json")
	if err != nil || len(files) == 0 || len(files) != len(native) {
		t.Fatalf("Glob() = %v, %v, want as many as of the view native: %v", files, err, native)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e logs.EventV1
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, err := e.AST(); err != nil {
			t.Errorf("%s: AST() = %v, want no error", file, err)
		}
		if e.DecisionID == "" || e.Timestamp.IsZero() || e.Path == "" || e.Labels["app"] != "guestlist" || e.RequestID != 7 || e.Custom["event"] == nil {
			t.Errorf("%s: decoded = %+v, want its members", file, e)
		}
	}
}
