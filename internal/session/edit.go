package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/flight"
)

// Change is a change of the book: entries to put in place of those of their
// names, and names to remove.
type Change struct {
	Sources  []Source
	Sessions []Session
	Groups   []Group
	Remove   []string
}

// Edit makes a change in the file at path, which is made if it is not there.
// What the change does not speak of stays as it is, comments too. A change that
// would make a book that cannot be read is refused, and of two processes neither
// loses the other's.
func Edit(ctx context.Context, path string, c Change) error {
	path = resolveLink(path)
	lock, err := flight.Acquire(ctx, filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	defer lock.Release()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading sessions: %w", err)
	}
	before, err := parse(path, text)
	if err != nil {
		return err
	}
	for _, name := range c.Remove {
		if by := before.usedBy(name, c.Remove); before.Source(name) != nil && len(by) > 0 {
			return fmt.Errorf("the change is not made: source %s is used by session %s; stile sessions rm %s %s removes them all",
				name, strings.Join(by, ", "), name, strings.Join(by, " "))
		}
	}
	changed, err := c.apply(text)
	if err != nil {
		return err
	}
	b, err := parse(path, changed)
	if err != nil {
		return fmt.Errorf("the change is not made: %w", err)
	}
	for _, name := range c.Remove {
		if in := b.holding(name); len(in) > 0 {
			return fmt.Errorf("the change is not made: %s is a member of group %s; stile sessions edit %s --remove-member %s takes it out", name, strings.Join(in, ", "), in[0], name)
		}
	}
	return atomicfile.Write(path, changed)
}

// usedBy are the sessions that begin with a source, but for some.
func (b *Book) usedBy(source string, but []string) []string {
	var out []string
	for _, s := range b.Sessions {
		if s.Source == source && !slices.Contains(but, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// apply changes the text.
func (c *Change) apply(text []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.Kind == 0 {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode { // an empty document, parsed as null
		*root = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: root.HeadComment, FootComment: root.FootComment}
	}
	for _, name := range c.Remove {
		if !remove(root, "sources", name) && !remove(root, "sessions", name) && !remove(root, "groups", name) {
			return nil, NoSuch(name)
		}
	}
	for _, s := range c.Sources {
		if err := put(root, "sources", s.Name, s); err != nil {
			return nil, err
		}
	}
	for _, s := range c.Sessions {
		if err := put(root, "sessions", s.Name, s); err != nil {
			return nil, err
		}
	}
	for _, g := range c.Groups {
		if err := put(root, "groups", g.Name, g); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// member is the value of a key in a mapping, nil for none.
func member(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// find is where the entry of a name is in a list, -1 for nowhere.
func find(list *yaml.Node, name string) int {
	return slices.IndexFunc(list.Content, func(n *yaml.Node) bool {
		v := member(n, "name")
		return n.Kind == yaml.MappingNode && v != nil && v.Value == name
	})
}

func remove(root *yaml.Node, key, name string) bool {
	list := member(root, key)
	if list == nil {
		return false
	}
	i := find(list, name)
	if i < 0 {
		return false
	}
	list.Content = slices.Delete(list.Content, i, i+1)
	return true
}

// put puts value into the list at key, in place of the entry of its name.
func put(root *yaml.Node, key, name string, value any) error {
	var n yaml.Node
	if err := n.Encode(value); err != nil {
		return err
	}
	list := member(root, key)
	switch {
	case list == nil:
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, list)
	case list.Kind != yaml.SequenceNode: // "sources:" without entries
		*list = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", HeadComment: list.HeadComment, LineComment: list.LineComment, FootComment: list.FootComment}
	}
	list.Style = 0 // an empty list is written []
	if i := find(list, name); i >= 0 {
		merge(list.Content[i], &n)
		return nil
	}
	list.Content = append(list.Content, &n)
	return nil
}

// merge makes old say what n says, and keeps what was written around it.
func merge(old, n *yaml.Node) {
	if old.Kind == yaml.ScalarNode && n.Kind == yaml.ScalarNode && old.Value == n.Value && old.ShortTag() == n.ShortTag() {
		return
	}
	if old.Kind != yaml.MappingNode || n.Kind != yaml.MappingNode {
		old.Kind, old.Tag, old.Value, old.Style, old.Content, old.Alias = n.Kind, n.Tag, n.Value, n.Style, n.Content, nil
		return
	}
	var content []*yaml.Node
	for i := 0; i+1 < len(old.Content); i += 2 {
		if v := member(n, old.Content[i].Value); v != nil {
			merge(old.Content[i+1], v)
			content = append(content, old.Content[i], old.Content[i+1])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if member(old, n.Content[i].Value) == nil {
			content = append(content, n.Content[i], n.Content[i+1])
		}
	}
	old.Content = content
}
