package main

import (
	"bytes"
	"encoding/json"
)

// indent makes JSON readable; what is no JSON stays as it is.
func indent(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b)
	}
	return out.String()
}

// demoHTML shows the token's claims and the decision records behind it.
const demoHTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo client</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow: auto; padding: 1rem; border: 1px solid #8888; border-radius: 6px; font-size: 13px; }
summary { cursor: pointer; overflow-wrap: anywhere; }
</style>
<h1>{{if .Claims}}The demo client was admitted{{else}}The demo client got no token{{end}}</h1>
{{with .Problem}}<p data-demo="problem">{{.}}</p>{{end}}
{{with .Claims}}<p>Nobody registered this client. It named itself by an address, a policy let it in, and a person said yes. Its access token says:</p>
<pre data-demo="claims">{{.}}</pre>{{end}}
{{with .Records}}<h2>Decision records</h2>
<p>Each step left one durable record. <code>guestlist audit why REQUEST_ID</code> explains any of them.</p>
{{range .}}<details><summary>{{.Event}}: {{.Outcome}} (request {{.RequestID}})</summary><pre data-demo="record">{{.JSON}}</pre></details>
{{end}}{{end}}
<p><a href="/start">Play it again</a></p>
</html>
`
