package cimd

import "strings"

// dangerousSchemes run script, read local files or carry their content in the
// URI itself. None of them is ever a place to send a person or to fetch from,
// so one in a document says what the document is for.
const dangerousSchemes = " javascript data file vbscript blob about filesystem view-source jar livescript mocha intent "

// dangerousScheme returns the dangerous scheme of a URI, or "". It reads the
// URI as the most lenient browser does: leading white space and control
// characters, tabs and line ends inside, and letter case do not hide a scheme.
func dangerousScheme(uri string) string {
	var scheme []byte
	for i := range len(uri) {
		switch c := uri[i]; {
		case c == ':':
			if strings.Contains(dangerousSchemes, " "+string(scheme)+" ") {
				return string(scheme)
			}
			return ""
		case c == '\t' || c == '\n' || c == '\r' || c <= ' ' && len(scheme) == 0:
		case c <= ' ' || len(scheme) > len("view-source"):
			return ""
		case 'A' <= c && c <= 'Z':
			scheme = append(scheme, c|0x20)
		default:
			scheme = append(scheme, c)
		}
	}
	return ""
}
