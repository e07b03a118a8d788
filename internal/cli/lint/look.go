package lint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/stile-aws/stile/internal/importer"
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
	// unread is set when a file could not be read, whatever becomes of the finding.
	unread bool
}

// look checks all files named, and the inventory.
func (o *options) look(ctx context.Context, s *search) error {
	var err error
	if s.inv, err = o.inventory(ctx); err != nil {
		return err
	}
	if s.inv != nil {
		s.found = append(s.found, o.check(s.inv)...)
		if s.ctx.Organization == nil {
			s.ctx.Organization = snapshot.OwnAccounts(s.inv)
		}
	}
	for _, path := range o.paths {
		s.path(path)
	}
	return nil
}

// check checks an inventory, and tells meanwhile how far it is.
func (o *options) check(inv *inventory.Inventory) rule.List {
	m := &snapshot.Meter{}
	ended := o.streams.Follow(true, func() string {
		done, total := m.Progress()
		return fmt.Sprintf("stile: %d of %d accounts, roles and policies checked", done, total)
	})
	defer ended()
	return snapshot.Check(inv, snapshot.Options{Now: o.now(), Unused: o.unused, Meter: m})
}

// inventory is the one to check: read from a file, from standard input, or
// from the accounts themselves.
func (o *options) inventory(ctx context.Context) (*inventory.Inventory, error) {
	switch {
	case len(o.accounts) > 0:
		return o.observe(ctx)
	case o.inventoryFile == "":
		return nil, nil
	}
	ended := o.streams.Follow(true, func() string { return "stile: reading " + o.inventoryFile })
	defer ended()
	if o.inventoryFile != "-" {
		return state.Inventory(o.streams, o.inventoryFile)
	}
	text, err := io.ReadAll(o.streams.In)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	got, err := importer.Bytes("standard input", text, nil, importer.Options{})
	if err != nil {
		return nil, err
	}
	return got.Inventory, term.Report(o.streams, got.Findings)
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
func (s *search) path(path string) {
	below := s.filesBelow(path)
	sets := map[string]bool{} // paths of sets of declarations
	for _, name := range below {
		text, err := readFile(name)
		if err != nil {
			s.unreadable(name, err)
			continue
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

// lines gives lines of files, for who asks about one file after the other.
type lines struct {
	name string
	text []string
}

func (l *lines) line(name string, number int) (string, bool) {
	if l.name != name {
		text, _ := readFile(name)
		l.name, l.text = name, strings.Split(string(text), "\n")
	}
	if number < 1 || number > len(l.text) {
		return "", false
	}
	return l.text[number-1], true
}
