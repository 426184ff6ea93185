package corpus

// node is a JSON Schema of the few words that scenes need.
type node = map[string]any

// Schema describes scenes.json as JSON Schema 2020-12. Read holds a file to it,
// so that editors and the program say the same.
func Schema() map[string]any {
	text := func(about string) node { return node{"type": "string", "description": about} }
	some := func(about string) node {
		return node{"type": []any{"string", "array"}, "items": node{"type": "string"}, "description": about}
	}
	list := func(about string) node {
		return node{"type": "array", "items": node{"type": "string"}, "description": about}
	}
	object := func(about string, required []any, members node) node {
		return node{"type": "object", "description": about, "required": required, "additionalProperties": false, "properties": members}
	}
	user := object("Who signs in and agrees. Left out: nobody, so that the user phase is not asked.", []any{"name"}, node{
		"name": text("user name"), "groups": list("groups of the person"), "acr": text("how they signed in"),
		"claims": node{"type": "object", "description": "further claims"}, "amr": list("by which means; default pwd"),
		"signed_in": text("how long before the request, for instance 5m or 1d; default 0s"),
	})
	refresh := object("A later use of the refresh token, where one is given out.", []any{"after"}, node{
		"after": text("how long after the request, for instance 2h"), "source": text("address; default: that of the request"),
		"groups": list("groups by then; default: as they were"), "scope": text("narrower scope asked for"), "resource": some("narrower resources asked for"),
	})
	expect := object("What has to come out; members that are left out are not looked at.", nil, node{
		"outcome": node{"type": "string", "enum": []any{Admitted, Refused}, "description": "what becomes of the request"}, "reason": text("reason of the refusal"), "policy": text("policy whose terms apply"),
	})
	scene := object("One imagined authorization request.", []any{"name", "client_id"}, node{
		"name":    node{"type": "string", "pattern": namePattern, "description": "stable name; lines of decisions.golden begin with it"},
		"purpose": text("what it shows, in one line"), "client_id": text("client identifier, as a stranger would send it"),
		"document": node{"type": []any{"string", "object"}, "description": "client metadata: inline, or a file below this one. " +
			"Left out: the published document of a known client, else a plausible one."},
		"redirect_uri": text("default: the first of the document"), "scope": text("scopes separated by spaces; {scopes} stands for all that policies name"),
		"resource": some("resource parameters; {resource} stands for the first that is configured, {resources} for all. Default: the first. []: none"),
		"prompt":   some("prompt parameter"), "par": node{"type": "boolean", "description": "pushed request"},
		"source": text("address; default 192.0.2.1"), "user_agent": text("user agent"), "at": node{"type": "string", "format": "date-time", "description": "when; default: the moment of the run's assumptions"},
		"user": user, "refresh": refresh, "facts": node{"type": "object", "description": "values of facts in this scene"}, "expect": expect,
	})
	whole := object("Imagined requests, decided by guestlist policy test.", []any{"scenes"}, node{
		"$schema": text("where editors find this schema"), "scenes": node{"type": "array", "items": scene},
	})
	whole["$schema"], whole["title"] = "https://json-schema.org/draft/2020-12/schema", "scenes.json"
	return whole
}

// namePattern is the form of a scene's name.
const namePattern = `^[a-z0-9][a-z0-9._/-]{0,99}$`
