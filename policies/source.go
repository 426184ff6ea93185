package policies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

// maxFile bounds one policy or data file.
const maxFile = 64 << 20

// source is one root as read: bytes only, nothing parsed.
type source struct {
	label string // put before file names in findings: "" or "guardrails:"
	files []sourceFile
	named int   // files that the walk met
	bytes int64 // of those that are read, as the file system says before
	rows  int   // of the lists that policies name
}

type sourceFile struct {
	path string
	body []byte
}

// name is how findings and decisions call the file.
func (s *source) name(f sourceFile) string { return s.label + f.path }

// readSource reads .rego files, data.json, data.yaml and data.yml, and the
// FactsFile. Names that
// begin with a dot are left out. A symbolic link to a directory is a fault: the
// walk does not follow it, and a missing denial would make nobody suspicious.
func readSource(root fs.FS, label string, out *report) *source {
	s := &source{label: label}
	if root == nil {
		return s
	}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); strings.HasPrefix(base, ".") && name != "." {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if s.named++; s.named > maxFiles {
			s.outgrown(out, "files", maxFiles)
			return fs.SkipAll
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := fs.Stat(root, name); err != nil || info.IsDir() {
				out.fail(s.label+name, 0, "directory_link", "put the directory itself there, or links to its files",
					"the link leads to a directory or nowhere, so denials in it would be missing")
				return nil
			}
		}
		s.find(root, name, out)
		return nil
	})
	if err != nil {
		out.fail(label+".", 0, "unreadable", "", "read the policy directory: %v", err)
	}
	if s.bytes > maxTotal {
		s.outgrown(out, "bytes in the files that are read", maxTotal)
	}
	if s.named > maxFiles || s.bytes > maxTotal {
		s.files = nil
	}
	s.read(root, out)
	return s
}

// find notes a file that is to be read.
func (s *source) find(root fs.FS, name string, out *report) {
	if path.Base(name) == FactsFile && name != FactsFile {
		out.warn(s.label+name, 0, "facts_schema_place", "move it to the root of the policy directory", "only the "+FactsFile+" at the root names facts")
		return
	}
	if !isRego(name) && !isData(name) && name != FactsFile {
		if ext := path.Ext(name); !isScene(name) && (ext == ".json" || ext == ".yaml" || ext == ".yml") {
			out.warn(s.label+name, 0, "data_ignored", "name it data"+ext+" in a directory of its own", "only data.json and data.yaml hold data")
		}
		return
	}
	info, err := fs.Stat(root, name)
	if err == nil && info.IsDir() {
		return
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file, nor a link to one") // a pipe would block, a device never end
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	if err != nil {
		out.fail(s.label+name, 0, "unreadable", "", "read the file: %v", err)
		return
	}
	s.bytes += info.Size()
	s.files = append(s.files, sourceFile{path: name})
}

// read reads what was found, once it is known to be within the bounds.
func (s *source) read(root fs.FS, out *report) {
	found := s.files
	s.files = nil
	for _, f := range found {
		var err error
		if f.body, err = fs.ReadFile(root, f.path); err != nil {
			out.fail(s.name(f), 0, "unreadable", "", "read the file: %v", err)
			continue
		}
		s.files = append(s.files, f)
	}
}

func isRego(name string) bool { return path.Ext(name) == ".rego" }
func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }
func isData(name string) bool {
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml":
		return true
	}
	return false
}

// digest adds what decides to the revision: names and bytes of policies and
// data, tests left out.
func digest(maxima []byte, contract string, sources ...*source) string {
	var lines []string
	for _, s := range sources {
		for _, f := range s.files {
			if !isTest(f.path) {
				sum := sha256.Sum256(f.body)
				lines = append(lines, fmt.Sprintf("%q %x\n", s.name(f), sum))
			}
		}
	}
	sort.Strings(lines)
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s%s\n%s", len(lines), strings.Join(lines, ""), contract, maxima)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
