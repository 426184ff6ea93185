# want: metadata:4
# METADATA
# custom: {review_by: "soon"}
package admission.policies.p

client_ids := {"https://a.example/x"}
