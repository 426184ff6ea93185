# want: input_unknown:9
# METADATA
# schemas:
#   - input: {"type": "object"}
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if input.clint.host == "x"
