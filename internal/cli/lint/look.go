package lint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/cli/observe"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/accept"
	"github.com/stile-aws/stile/internal/lint/declared"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/snapshot"
)

// search is one look at everything that was named.
type search struct {
	ctx   lint.Context
	inv   *inventory.Inventory // nil: none
	set   *accept.Set
	found rule.List
	files []string
}

// look checks all files named, and the inventory.
func (o *options) look(ctx context.Context, s *search) error {
	var err error
	if s.inv, err = o.inventory(ctx); err != nil {
		return err
	}
	if s.inv != nil {
		s.found = append(s.found, snapshot.Check(s.inv, snapshot.Options{Now: o.now(), Unused: o.unused})...)
		if s.ctx.Organization == nil {
			s.ctx.Organization = snapshot.OwnAccounts(s.inv)
		}
	}
	for _, path := range o.paths {
		if err := s.path(path); err != nil {
			return err
		}
	}
	return nil
}

// inventory is the one to check: read from a file, from standard input, or
// from the accounts themselves.
func (o *options) inventory(ctx context.Context) (*inventory.Inventory, error) {
	switch {
	case len(o.accounts) > 0:
		return o.observe(ctx)
	case o.inventoryFile == "-":
		return inventory.Load(o.streams.In)
	case o.inventoryFile != "":
		return state.Inventory(o.streams, o.inventoryFile)
	}
	return nil, nil
}

// observe runs stile observe and takes what it writes. What could not be read
// it has told; what is left is checked.
func (o *options) observe(ctx context.Context) (*inventory.Inventory, error) {
	var text bytes.Buffer
	streams := *o.streams
	streams.Out = &text
	cmd := observe.New(&streams)
	args := []string{"--accounts", strings.Join(o.accounts, ","), "--out", "-"}
	for _, f := range []struct{ name, value string }{
		{"--regions", strings.Join(o.regions, ",")}, {"--role", o.role}, {"--external-id", o.externalID}, {"--declarations", o.declarations},
	} {
		if f.value != "" {
			args = append(args, f.name, f.value)
		}
	}
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(ctx)
	var exit *term.Exit
	if err != nil && !(errors.As(err, &exit) && exit.Code == observe.Partial) {
		return nil, err
	}
	return inventory.Load(&text)
}

// path checks one file or directory. Declarations belong together: those below
// one path are read as one set.
func (s *search) path(path string) error {
	below, err := filesBelow(path)
	if err != nil {
		return err
	}
	sets := map[string]bool{} // paths of sets of declarations
	for _, name := range below {
		text, err := readFile(name)
		if err != nil {
			return err
		}
		if isDeclaration(name, text) {
			sets[scopeOf(name, path)] = true
		} else {
			s.found = append(s.found, s.ctx.FileIn(name, text)...)
		}
		s.set.ParseComments(name, text)
	}
	s.files = append(s.files, below...)
	for _, root := range slices.Sorted(maps.Keys(sets)) {
		s.declarations(root, below)
	}
	return nil
}

// scopeOf is the directory of the declaration set that a file belongs to: the
// nearest one with a stile.yaml, as far up as path, else path itself.
func scopeOf(name, path string) string {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "stile.yaml")); err == nil {
			return dir
		}
		if dir == filepath.Clean(path) || name == path || dir == filepath.Dir(dir) {
			return path
		}
	}
}

// declarations checks the set below root, and reports what is in the files
// looked at.
func (s *search) declarations(root string, files []string) {
	set, diags := access.LoadPath(root)
	var found rule.List
	found.AddDiagnostics(diags)
	found = append(found, declared.Check(set, s.inv)...)
	for _, f := range found {
		if f.Pos.File == "" || slices.ContainsFunc(files, func(name string) bool { return filepath.Clean(name) == filepath.Clean(f.Pos.File) }) {
			s.found = append(s.found, f)
		}
	}
}

// isDeclaration reports whether a file holds stile's own objects.
func isDeclaration(name string, text []byte) bool {
	if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) || !bytes.Contains(text, []byte(declared.Marker)) {
		return false
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.Trim(line, "{ \t\r\n"), ":")
		if strings.Trim(key, `" `) == "apiVersion" && strings.HasPrefix(strings.Trim(value, `", `), declared.Marker) {
			return true
		}
	}
	return false
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, tooLarge(name, info.Size())
	}
	return os.ReadFile(name)
}
