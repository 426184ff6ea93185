# METADATA
# title: Assistants in the browser
# description: >-
#   Two documents, each by its exact URL: the vendors have other applications on the same
#   hosts, and those are not meant.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.assistants

# METADATA
# title: The clients
# description: As their vendors publish them.
client_ids := {
	"https://chatgpt.com/oauth/client.json",
	"https://claude.ai/oauth/mcp-oauth-client-metadata",
}

# METADATA
# title: Terms of admission
# description: They read, and nothing else.
settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}}
