# want: never_holds:10
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

# An empty list is true: the person without groups would pass.
deny_user contains {"code": "x", "message": "m"} if not input.user.groups
