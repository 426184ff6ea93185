package policies

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Format lays a Rego file out as "opa fmt" does; name is how errors call the
// file. A file that does not parse as Rego v1 is an error with file and line
// for each fault. Format does not check that the file is a policy: that is
// Load's work.
func Format(name string, body []byte) ([]byte, error) {
	opts := format.Opts{RegoVersion: ast.RegoV1, ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1}}
	body, err := format.SourceWithOpts(name, body, opts)
	if err != nil {
		return nil, explained(err, name)
	}
	return body, nil
}

// explained writes the engine's errors as findings of a file.
func explained(err error, name string) error {
	out := &report{}
	reportAST(err, name, out)
	faults := make([]error, 0, len(out.list))
	for _, f := range out.list {
		faults = append(faults, errors.New(f.String()))
	}
	return errors.Join(faults...)
}
