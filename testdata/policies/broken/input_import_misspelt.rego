# want: input_unknown:6
package admission.policies.p

import input.client as c

deny contains {"code": "x", "message": "y"} if c.hots == "a.b"
