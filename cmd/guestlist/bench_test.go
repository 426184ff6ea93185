package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart starts the built program with a configuration file and waits
// for its first answer. New makes store and keys first; again finds them. There
// is nobody in the people file, so no password is hashed. Beside the time stand
// the CPU time of the process, its stop included, and the size of the program.
func BenchmarkStart(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "guestlist")
	build := exec.Command("go", "build", "-o", bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	info, err := os.Stat(bin)
	if err != nil {
		b.Fatal(err)
	}
	report := func(b *testing.B, used time.Duration) {
		b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
	b.Run("new", func(b *testing.B) {
		var used time.Duration
		for b.Loop() {
			b.StopTimer()
			dir := startDir(b)
			b.StartTimer()
			used += firstAnswer(b, bin, dir)
		}
		report(b, used)
	})
	b.Run("again", func(b *testing.B) {
		var used time.Duration
		dir := startDir(b)
		firstAnswer(b, bin, dir)
		for b.Loop() {
			used += firstAnswer(b, bin, dir)
		}
		report(b, used)
	})
}

// firstAnswer starts the program, asks it once it listens, and stops it, which
// is not in the time measured. It returns the CPU time of the process.
func firstAnswer(b *testing.B, bin, dir string) time.Duration {
	b.Helper()
	b.StartTimer()
	p := start(b, exec.Command(bin, "serve", "--config", filepath.Join(dir, "guestlist.yaml")))
	listen := p.find(p.errs, `"listen":"`, `"`)
	resp, err := http.Get("http://" + listen + "/readyz")
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	b.StopTimer()
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("/readyz: %d", resp.StatusCode)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	p.stop(syscall.SIGTERM)
	b.StartTimer()
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// startDir is a folder with a configuration, a policy and no people.
func startDir(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	listen := "127.0.0.1:" + freePort(b)
	for name, text := range map[string]string{
		"guests/example.rego": admitPolicy,
		"people.yaml":         "[]\n",
		"guestlist.yaml": fmt.Sprintf(`issuer: http://%s
listen: %s
store: bolt://%s/guestlist.db
policies: {path: guests, unsigned: true}
people: {file: people.yaml}
keys: {dir: keys}
admin: {socket: admin.sock}
resources:
  - id: https://mcp.example.com
    name: Example MCP server
    scopes: [mcp:read]
outbound:
  insecure_host_map: {"client.example.com:443": "127.0.0.1:1"}
`, listen, listen, dir),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}
