package access

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/diag"
)

// Bounds on what is read; a declaration set of 400 accounts is under 1 MiB.
const (
	maxFile  = 1 << 20
	maxTotal = 16 << 20
	maxFiles = 10_000
)

// Load reads declarations from fsys. Each name is a file or a directory, of
// which every *.yaml, *.yml and *.json file below is read, sorted, hidden files
// and directories left out; no name means the whole of fsys.
//
// The Set is nil when the list has errors. The list is sorted by place; it may
// hold warnings beside a Set.
func Load(fsys fs.FS, names ...string) (*Set, diag.List) {
	return load(fsys, names, func(name string) string { return name })
}

// LoadPath is Load of one directory or file of the operating system; places
// begin with dir as it was given.
func LoadPath(name string) (*Set, diag.List) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, diag.List{unreadable(name, err)}
	}
	if info.IsDir() {
		return load(os.DirFS(name), nil, func(file string) string { return filepath.Join(name, filepath.FromSlash(file)) })
	}
	return load(os.DirFS(filepath.Dir(name)), []string{filepath.Base(name)}, func(string) string { return name })
}

// Reads reports whether LoadPath of name would read file, which need not exist.
func Reads(name, file string) (bool, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return false, err
	}
	if file, err = filepath.Abs(file); err != nil {
		return false, err
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
		file = filepath.Join(real, filepath.Base(file))
	}
	below, err := filepath.Rel(name, file)
	if err != nil || !filepath.IsLocal(below) {
		return false, nil
	}
	hidden := func(part string) bool { return part != "." && strings.HasPrefix(part, ".") }
	return below == "." || isDeclaration(below) && !slices.ContainsFunc(strings.Split(filepath.ToSlash(below), "/"), hidden), nil
}

// isDeclaration reports whether a file of that name in a directory is read.
func isDeclaration(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name))
}

// loader is the state of one Load.
type loader struct {
	set   Set
	diags diag.List
	// at remembers where fields and elements were written, by their addresses
	// (*string, *Pattern, entry …), for the checks that come after reading.
	at     map[any]Pos
	scopes []Pos
	picks  map[*Access]map[string]string // to.selector.matchLabels
	src    *source                       // the file being read
	nodes  int                           // visited in the document being read
	total  int                           // bytes read
}

func load(fsys fs.FS, names []string, display func(string) string) (*Set, diag.List) {
	l := &loader{at: map[any]Pos{}, picks: map[*Access]map[string]string{}}
	if len(names) == 0 {
		names = []string{"."}
	}
	files := l.files(fsys, names, display)
	readable := !l.diags.HasErrors()
	for _, f := range files {
		readable = l.file(fsys, f, display(f)) && readable
	}
	// What refers to an object of an unreadable file would only look wrong.
	if readable {
		l.check(names, display)
	}
	l.diags.Sort()
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	set := l.set // a copy, so that the loader's tables do not live as long as the Set
	set.Digest = digest(&set)
	return &set, l.diags
}

// files lists the files to read, sorted, each once.
func (l *loader) files(fsys fs.FS, names []string, display func(string) string) []string {
	var files []string
	for _, name := range names {
		name = path.Clean(name)
		info, err := fs.Stat(fsys, name)
		if err != nil {
			l.diags.Add(unreadable(display(name), err))
			continue
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		below, err := walk(fsys, name)
		if err != nil {
			l.diags.Add(unreadable(display(name), err))
		}
		files = append(files, below...)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) > maxFiles {
		l.fail(Pos{File: display(names[0])}, CodeTooLarge, says{what: fmt.Sprintf("%d files of declarations; at most %d are read", len(files), maxFiles)})
		return nil
	}
	return files
}

// walk finds the declaration files below dir. Symbolic links to files count,
// as a mounted ConfigMap consists of them; links to directories do not.
func walk(fsys fs.FS, dir string) ([]string, error) {
	var files []string
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != dir && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		if hidden || !isDeclaration(name) {
			return nil
		}
		if info, err := fs.Stat(fsys, name); err != nil {
			return err
		} else if info.Mode().IsRegular() {
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// file reads one file and reports whether all of it could be parsed.
func (l *loader) file(fsys fs.FS, name, display string) bool {
	text, err := read(fsys, name)
	if err != nil {
		l.diags.Add(unreadable(display, err))
		return false
	}
	l.total += len(text)
	if len(text) > maxFile || l.total > maxTotal {
		l.fail(Pos{File: display}, CodeTooLarge, says{
			what: "too much text", why: fmt.Sprintf("a file may have %d bytes, all files together %d", maxFile, maxTotal),
		})
		return false
	}
	l.src = newSource(display, text)
	docs, problem := l.src.parse(text)
	for _, doc := range docs {
		l.nodes = 0
		for _, n := range doc.Content {
			if !isNull(n) {
				l.document(n)
			}
		}
	}
	if problem != nil {
		l.diags.Add(*problem)
	}
	return problem == nil
}

func read(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func unreadable(name string, err error) diag.Diagnostic {
	why := err
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		why = p.Err
	}
	return diag.Diagnostic{Pos: Pos{File: name}, Code: CodeUnreadable, Summary: fmt.Sprintf("reading declarations: %v", why)}
}

// kinds are the kinds this version reads; laterKinds those of the design that
// it does not.
var (
	kinds      = [...]string{"Access", "Account", "Cluster", "Scope"}
	laterKinds = [...]string{"Organization", "Share", "Perimeter"}
)

// document reads one object.
func (l *loader) document(n *yaml.Node) {
	pos := l.nodePos(n)
	kind, kindPos, ok := l.kindOf(n)
	if !ok {
		return
	}
	switch kind {
	case "Scope":
		l.scope(n, pos)
	case "Account":
		l.account(n, pos)
	case "Cluster":
		l.cluster(n, pos)
	case "Access":
		l.access(n, pos)
	default:
		if slices.Contains(laterKinds[:], kind) {
			l.notSupported(kindPos, "kind "+kind)
			return
		}
		l.fail(kindPos, CodeUnknownKind, says{
			what: fmt.Sprintf("unknown kind %q", kind), why: "kinds: " + strings.Join(kinds[:], ", "), hint: diag.DidYouMean(kind, kinds[:]),
		})
	}
}

// kindOf looks ahead at what an object says it is. It reports an object that
// does not say it.
func (l *loader) kindOf(n *yaml.Node) (kind string, pos Pos, ok bool) {
	if n.Kind != yaml.MappingNode {
		l.wrongType(n, "a document", "an object with apiVersion, kind, metadata and spec")
		return "", Pos{}, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "kind" {
			kind, ok = l.text(n.Content[i+1], "kind")
			return kind, l.nodePos(n.Content[i+1]), ok
		}
	}
	l.fail(l.nodePos(n), CodeMissingField, says{what: `an object has no field "kind"`, why: "kinds: " + strings.Join(kinds[:], ", ")})
	return "", Pos{}, false
}

// envelope reads what every object has around its spec.
func (l *loader) envelope(n *yaml.Node, kind string, meta *Metadata, spec func(*yaml.Node)) {
	l.object(n, kind,
		field{name: "apiVersion", required: true, read: l.apiVersion},
		field{name: "kind", required: true, read: func(*yaml.Node) {}},
		field{name: "metadata", required: true, read: func(n *yaml.Node) {
			l.object(n, kind+" metadata",
				field{name: "name", required: true, read: l.str(&meta.Name, "metadata.name")},
				field{name: "labels", read: l.stringMap(&meta.Labels, "metadata.labels")},
				// Annotations belong to other tools; they are not declarations.
				field{name: "annotations", read: func(*yaml.Node) {}},
			)
		}},
		field{name: "spec", required: true, read: spec},
	)
}

func (l *loader) apiVersion(n *yaml.Node) {
	if v, ok := l.text(n, "apiVersion"); ok && v != APIVersion {
		l.fail(l.nodePos(n), CodeAPIVersion, says{
			what: fmt.Sprintf("apiVersion is %q; want %q", v, APIVersion),
			hint: "keep objects of other programs out of the declarations",
		})
	}
}

// byName orders objects by name.
func byName[T any](name func(T) string) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(name(a), name(b)) }
}
