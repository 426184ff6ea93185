package policies_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// told asks about a person with a name and an address that stand nowhere in the
// policies.
func told(t testing.TB, f files, phase broker.Phase) broker.Decision {
	t.Helper()
	set := load(t, f)
	return set.Decide(context.Background(), question(t, example, phase, func(q *broker.Query) {
		q.Input.Facts = set.Facts()
		q.Input.User.Sub, q.Input.User.Groups = "zoe", []string{"eng"}
		q.Input.User.Claims = map[string]any{"email": "zoe@corp.example"}
		q.Input.Request.Source.IP = "198.51.100.9"
		q.Input.Published = map[string]any{"client_name": "Zoe App"}
	}))
}

// TestComputedTexts: the texts of a denial that no policy file spells out are
// told apart, wherever they come from, unless all that their rule reads is who
// the client is.
func TestComputedTexts(t *testing.T) {
	t.Parallel()
	const deny = "deny_user contains {\"code\": \"c\", \"message\": %s} if input.user.sub != \"\"\n"
	message := func(expr string) string { return fmt.Sprintf(deny, expr) }
	for name, tt := range map[string]struct {
		rules string
		want  string // as member=text of what is computed
	}{
		"spelt out":              {message(`"as written"`), ""},
		"a claim":                {message(`input.user.claims.email`), "message=zoe@corp.example"},
		"a name in a sentence":   {message(`sprintf("%s may not", [input.user.sub])`), "message=zoe may not"},
		"a name, interpolated":   {message(`concat(" ", ["not", input.user.sub])`), "message=not zoe"},
		"an address":             {`deny contains {"code": "c", "message": "no", "user_message": input.request.source.ip, "remedy": concat("", ["leave ", input.request.source.ip])}`, "remedy=leave 198.51.100.9 user_message=198.51.100.9"},
		"a warning":              {`warn contains {"code": "c", "message": input.user.sub}`, "message=zoe"},
		"a code":                 {`deny_user contains {"code": input.user.sub, "message": "no"}`, "code=zoe"},
		"a code in mode warn":    {"mode := \"warn\"\n\n" + `deny_user contains {"code": concat("_", ["no", input.user.sub]), "message": "no"}`, "code=no_zoe"},
		"through a helper":       {"_who := input.user.sub\n\ndeny_user contains {\"code\": \"c\", \"message\": _who}", "message=zoe"},
		"through a variable":     {"_text := \"spelt elsewhere\"\n\n" + message(`_text`), ""},
		"spelt in a library":     {"import data.lib.texts\n\n" + message(`texts.no`), ""},
		"chosen in the file":     {"_names := {\"zoe\": \"Friend of the house\"}\n\n" + message(`_names[input.user.sub]`), ""},
		"chosen in base data":    {message(`data.staff[input.user.sub]`), "message=Zoe Example"},
		"in an else":             {"_text := \"first\" if input.user.sub == \"\"\n\nelse := \"the other\"\n\n" + message(`_text`), ""},
		"of who the client is":   {`deny contains {"code": "c", "message": sprintf("host %s, %s", [input.client.host, input.client_id])}`, ""},
		"of the row and time":    {`deny contains {"code": "c", "message": sprintf("%v %v", [input.row, input.clock.weekday])}`, ""},
		"of the client, by name": {`deny_user contains {"code": "c", "message": sprintf("host %s", [input.client.host])} if input.user.sub == "zoe"`, "message=host app.example.com"},
		"of facts":               {`deny contains {"code": "c", "message": input.facts.word}`, "message=a fact"},
		"of the document":        {`deny_document contains {"code": "c", "message": input.published.client_name}`, "message=Zoe App"},
		// A value that the file spells out is the policy's word, whoever else has it
		// too: the header says what the file says.
		"by coincidence": {"_friends := {\"zoe\"}\n\n" + message(`input.user.sub`), ""},
	} {
		f := files{"p.rego": "package admission.policies.p\n\n" + rules(tt.rules), "staff/data.json": `{"zoe": "Zoe Example"}`,
			"lib.rego": "package lib.texts\n\nno := \"spelt in a library\"\n", "facts.schema.json": `{"type": "object", "properties": {"word": {"type": "string", "default": "a fact"}}}`}
		d := told(t, f, broker.PhaseUser)
		var got []string
		for _, v := range slices.Concat(d.Denials, d.Warnings) {
			all := map[string]string{"code": v.Code, "message": v.Message, "user_message": v.UserMessage, "remedy": v.Remedy}
			for _, member := range v.Computed {
				got = append(got, member+"="+all[member])
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want || len(d.Denials)+len(d.Warnings) != 1 {
			t.Errorf("%s: computed is %q, want %q (%+v %+v)", name, got, tt.want, d.Denials, d.Warnings)
		}
	}
}

// rules puts the settings that admit behind the imports of some rules.
func rules(some string) string {
	if head, rest, ok := strings.Cut(some, "\n\n"); ok && strings.HasPrefix(head, "import ") {
		return head + "\n\n" + admits + "\n" + rest + "\n"
	}
	return admits + "\n" + some + "\n"
}

// TestComputedSettings: settings that hold what no file spells out are said to,
// and labels are made of the words of the file alone.
func TestComputedSettings(t *testing.T) {
	t.Parallel()
	const some = `"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}`
	for name, tt := range map[string]struct {
		settings string
		want     []string
	}{
		"constant":              {`{` + some + `, "tags": ["gold"]}`, nil},
		"chosen by an address":  {`{` + some + `, "tags": [_tag]}` + "\n\n_tag := \"home\" if startswith(input.request.source.ip, \"198.\")\n\nelse := \"away\"", nil},
		"of who the client is":  {`{` + some + `, "tags": [input.client.host]}`, nil},
		"by data of the client": {`{` + some + `, "tags": data.tiers[input.client.host]}`, nil},
		"an address":            {`{` + some + `, "tags": ["gold", input.request.source.ip]}`, []string{"198.51.100.9"}},
		"a contact, as a claim": {`{` + some + `, "claims": {"who": {"name": input.published.client_name, input.published.client_name: 7}}}`, []string{"Zoe App"}},
		"a number":              {`{` + some + `, "claims": {"n": count(input.published.client_name)}}`, []string{"7"}},
		"scopes of the request": {`{"scopes": {"ceiling": array.concat(["mcp:read"], [concat(":", ["ip", input.request.source.ip])])}}`, []string{"ip:198.51.100.9"}},
	} {
		f := files{"p.rego": "package admission.policies.p\n\nclient_ids := {\"" + example + "\"}\n\nsettings := " + tt.settings + "\n", "tiers/data.json": `{"app.example.com": ["platinum"]}`}
		d := told(t, f, broker.PhaseDocument)
		got := slices.Compact(slices.Sorted(slices.Values(d.Computed)))
		if !d.Allowed || !slices.Equal(got, tt.want) {
			t.Errorf("%s: allowed %v (%s), computed is %q, want %q", name, d.Allowed, d.Detail, got, tt.want)
		}
	}
}

// TestComputedCeiling: what the guardrails compute counts as what a policy does.
func TestComputedCeiling(t *testing.T) {
	t.Parallel()
	d := told(t, files{
		"p.rego":          "package admission.policies.p\n\n" + admits,
		"guardrails.rego": "package admission.guardrails\n\nceiling := {\"require\": {\"groups\": [\"eng\", concat(\"-\", [\"at\", input.request.source.ip])]}}\n",
	}, broker.PhaseDocument)
	if !slices.Equal(d.Computed, []string{"at-198.51.100.9"}) {
		t.Errorf("computed is %q (%s), want the group with the address", d.Computed, d.Detail)
	}
}

// TestComputedKept: of terms that no policy of today gave it is not known who
// spelt them out.
func TestComputedKept(t *testing.T) {
	t.Parallel()
	set := load(t, files{"q.rego": "package admission.policies.q\n\nclient_ids := {\"https://other.example/c\"}\n\nsettings := {}\n"})
	kept := broker.StrictSettings()
	kept.Tags, kept.Claims = []string{"198.51.100.9"}, map[string]any{"who": "zoe"}
	d := set.Decide(context.Background(), question(t, example, broker.PhaseRefresh, func(q *broker.Query) { q.Kept = &kept }))
	if !d.Kept || !slices.Contains(d.Computed, "198.51.100.9") || !slices.ContainsFunc(d.Computed, func(s string) bool { return strings.Contains(s, "zoe") }) {
		t.Errorf("kept %v, computed %q, want the tag and the claim", d.Kept, d.Computed)
	}
}

// TestMaskOfComputed: a mask can name what is computed, by where it stands or
// all of it.
func TestMaskOfComputed(t *testing.T) {
	t.Parallel()
	r := recorded(t)
	r.Phases = []decisionlog.Phase{{Phase: "user", Denials: []decisionlog.Denial{{Policy: "p", Rule: "deny_user", Code: "c", Message: "not zoe", Remedy: "ask", Computed: []string{"message"}}}}}
	r.NoteComputed(false)
	for name, tt := range map[string]struct{ rules, erased, masked, message string }{
		"all of it":     {`mask contains "/phases"`, "/phases", "", ""},
		"its place":     {`mask contains "/phases/0/denials/0/message"`, "/phases/0/denials/0/message", "", ""},
		"what there is": {`mask contains {"op": "upsert", "path": path, "value": "withheld"} if some path in input.computed`, "", "/phases/0/denials/0/message", "withheld"},
		"what is spelt": {`mask contains "/phases/0/denials/0/remedy"`, "", "", "not zoe"},
		"terms":         {`mask contains p if some p in {"/settings/tags", "/effective", "/phases/0/warnings"}`, "", "", "not zoe"},
	} {
		got, err := load(t, maskOf(tt.rules)).Mask(context.Background(), r)
		if err != nil || strings.Join(got.Erased, " ") != tt.erased || strings.Join(got.Masked, " ") != tt.masked || got.Phases[0].Denials[0].Message != tt.message {
			t.Errorf("%s: erased %q, masked %q, message %q, %v, want %q, %q, %q", name, got.Erased, got.Masked, got.Phases[0].Denials[0].Message, err, tt.erased, tt.masked, tt.message)
		}
	}
}

// TestComputedCut: a default scope that a policy computed and that cannot be
// given leaves no word in the header, where cut stands: nobody asked for it.
// What was asked for stays as it was sent.
func TestComputedCut(t *testing.T) {
	t.Parallel()
	const settings = `{"scopes": {"ceiling": ["mcp:read", _own], "default": [%s]}}` + "\n\n_own := concat(\":\", [\"ip\", input.request.source.ip])"
	for name, tt := range map[string]struct {
		defaults string
		asked    []string
		want     string
	}{
		"computed":         {`"mcp:read", _own`, nil, "(computed)"},
		"spelt out":        {`"mcp:read", "mcp:none"`, nil, "mcp:none"},
		"asked by a guess": {`"mcp:read"`, []string{"mcp:read", "ip:198.51.100.9"}, "ip:198.51.100.9"},
	} {
		text := strings.Replace(fmt.Sprintf(settings, tt.defaults), "_own]", "_own, \"mcp:none\"]", 1)
		set := load(t, files{"p.rego": "package admission.policies.p\n\nclient_ids := {\"" + example + "\"}\n\nsettings := " + text + "\n"})
		d := set.Decide(context.Background(), question(t, example, broker.PhaseDocument, func(q *broker.Query) {
			q.Input.Request.Source.IP, q.Input.Request.Scopes, q.Offer.Resources[0].Scopes = "198.51.100.9", tt.asked, []string{"mcp:read"}
		}))
		var got []string
		for _, c := range d.Cut {
			if c.Member == "scope" {
				got = append(got, c.Value)
			}
		}
		if !d.Allowed || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: allowed %v (%s), cut %q, want %q", name, d.Allowed, d.Detail, got, tt.want)
		}
	}
}
