# METADATA
# title: Nobody is admitted
# description: >-
#   This guest list is empty on purpose. A client is admitted only when a package
#   below admission.policies names its client identifier URL and gives settings.
#   Begin with a file anthropic.rego such as this:
#
#     package admission.policies.anthropic
#
#     client_ids := {"https://claude.ai/oauth/mcp-oauth-client-metadata"}
#
#     settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}}
#
#   Settings that are written here, in admission.defaults, hold wherever a policy
#   is silent.
# authors:
#   - Guestlist
# custom:
#   review_by: "2035-12-31"
package admission.defaults
