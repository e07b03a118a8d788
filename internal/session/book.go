package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/settings"
)

// Book is all sources, sessions and groups. The zero Book has none.
type Book struct {
	Sources  []Source  `yaml:"sources,omitempty" json:"sources"`
	Sessions []Session `yaml:"sessions,omitempty" json:"sessions"`
	Groups   []Group   `yaml:"groups,omitempty" json:"groups"`
}

// Read reads the book at path. There is none when nothing was added yet.
func Read(path string) (*Book, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Book{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading sessions: %w; it must be a file of yours, or not be there", err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (*Book, error) {
	var b Book
	if err := settings.Decode(path, text, &b); err != nil {
		return nil, fmt.Errorf("reading sessions: %w\ncorrect the file, or move it away and add sources anew", err)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return &b, nil
}

// Lines tells where entries and their fields stand in the file at path: by name,
// then by field; "" is where the entry begins. Fields of a source's kind stand by
// their own names.
func Lines(path string) (map[string]map[string]int, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading sessions: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	out := map[string]map[string]int{}
	for _, root := range doc.Content {
		for _, list := range root.Content {
			for _, entry := range list.Content {
				fields := map[string]int{"": entry.Line}
				fieldLines(entry, fields)
				if name := member(entry, "name"); name != nil {
					out[name.Value] = fields
				}
			}
		}
	}
	return out, nil
}

func fieldLines(m *yaml.Node, out map[string]int) {
	for i := 0; i+1 < len(m.Content) && m.Kind == yaml.MappingNode; i += 2 {
		if _, ok := out[m.Content[i].Value]; !ok {
			out[m.Content[i].Value] = m.Content[i].Line
		}
		fieldLines(m.Content[i+1], out)
	}
}

func (b *Book) check() error {
	var errs []error
	seen := map[string]bool{}
	for i := range b.Sources {
		s := &b.Sources[i]
		errs = append(errs, s.Check())
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("there are two sources %s", s.Name))
		}
		seen[s.Name] = true
	}
	for i := range b.Sessions {
		s := &b.Sessions[i]
		errs = append(errs, s.Check())
		if b.Source(s.Source) == nil && s.Source != "" {
			errs = append(errs, fmt.Errorf("session %s: there is no source %s; stile sessions list shows those there are", s.Name, s.Source))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("%s is there twice; sources and sessions share their names", s.Name))
		}
		seen[s.Name] = true
	}
	errs = append(errs, b.checkGroups(seen))
	return errors.Join(errs...)
}

// Source is the source of a name, nil for none. It belongs to the book.
func (b *Book) Source(name string) *Source {
	if i := slices.IndexFunc(b.Sources, func(s Source) bool { return s.Name == name }); i >= 0 {
		return &b.Sources[i]
	}
	return nil
}

// Session is the session of a name, nil for none. It belongs to the book.
func (b *Book) Session(name string) *Session {
	if i := slices.IndexFunc(b.Sessions, func(s Session) bool { return s.Name == name }); i >= 0 {
		return &b.Sessions[i]
	}
	return nil
}

// Only is the source that is meant by name, which may be "" when there is but
// one of those that fit.
func (b *Book) Only(name string, fit func(*Source) bool) (*Source, error) {
	if name != "" {
		if s := b.Source(name); s != nil {
			return s, nil
		}
		return nil, b.noSource(name)
	}
	var all []string
	var found *Source
	for i := range b.Sources {
		if fit(&b.Sources[i]) {
			found = &b.Sources[i]
			all = append(all, found.Name)
		}
	}
	switch len(all) {
	case 0:
		return nil, errors.New("there is no source yet: stile sessions add NAME --start-url URL --region REGION adds an Identity Center")
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("there are several sources; say which: %s", strings.Join(all, ", "))
}

func (b *Book) noSource(name string) error {
	if x := b.Session(name); x != nil {
		return fmt.Errorf("%s is a session; its source is %s", name, x.Source)
	}
	if g := b.Group(name); g != nil {
		return fmt.Errorf("%s is a group, and a source is wanted; stile sessions list shows those there are", name)
	}
	var names []string
	for _, s := range b.Sources {
		names = append(names, s.Name)
	}
	return fmt.Errorf("there is no source %s%s; stile sessions list shows those there are", spelled(name), hint(name, names))
}

// NoSuch is that nothing has a name.
func NoSuch(name string) error {
	return fmt.Errorf("there is no source, session or group %s; stile sessions list shows those there are", spelled(name))
}

// spelled is a name as people can see it: quoted where it is empty, or has spaces or
// what steers a terminal.
func spelled(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

func hint(word string, known []string) string {
	if h := diag.DidYouMean(word, known); h != "" {
		return " (" + h + ")"
	}
	return ""
}

// names lists the sources, sessions and groups.
func (b *Book) names() []string {
	var out []string
	for _, s := range b.Sources {
		out = append(out, s.Name)
	}
	for _, s := range b.Sessions {
		out = append(out, s.Name)
	}
	for _, g := range b.Groups {
		out = append(out, g.Name)
	}
	return out
}

// resolveLink follows a symbolic link, so that a file that is kept elsewhere is
// changed there.
func resolveLink(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
