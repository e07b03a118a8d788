package expression

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// Path leads to an attribute or to something inside it.
type Path []step

// step is a name, or an index where name is "".
type step struct {
	name  string
	index int
}

// Root is the name of the attribute that the path begins with.
func (p Path) Root() string { return p[0].name }

// String shows the path as messages do.
func (p Path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (s step) String() string {
	if s.name == "" {
		return "[" + strconv.Itoa(s.index) + "]"
	}
	return s.name
}

// overlaps reports whether one path leads to or into what the other leads to.
func (p Path) overlaps(other Path) bool {
	n := min(len(p), len(other))
	return slices.Equal(p[:n], other[:n])
}

// Get follows the path in an item; ok is false when it leads nowhere.
func (p Path) Get(item store.Item) (v store.Value, ok bool) {
	v, ok = item[p[0].name]
	for _, s := range p[1:] {
		if !ok {
			return store.Value{}, false
		}
		v, ok = child(v, s)
	}
	return v, ok
}

func child(v store.Value, s step) (store.Value, bool) {
	if s.name != "" {
		found, ok := v.Map[s.name]
		return found, ok && v.Type == attribute.Map
	}
	if v.Type != attribute.List || s.index >= len(v.List) {
		return store.Value{}, false
	}
	return v.List[s.index], true
}

const errPath attribute.Problem = "The document path provided in the update expression is invalid for update"

// set puts v where the path leads, in a copy of what is on the way. Everything
// but the last step has to exist.
func (p Path) set(item store.Item, v store.Value) error {
	changed, err := setIn(store.Value{Type: attribute.Map, Map: item}, p, v)
	if err != nil {
		return err
	}
	item[p[0].name] = changed.Map[p[0].name]
	return nil
}

func setIn(in store.Value, path Path, v store.Value) (store.Value, error) {
	if len(path) == 0 {
		return v, nil
	}
	s := path[0]
	old, exists := child(in, s)
	if len(path) > 1 {
		if !exists {
			return in, errPath
		}
		var err error
		if v, err = setIn(old, path[1:], v); err != nil {
			return in, err
		}
	}
	switch {
	case s.name != "" && in.Type == attribute.Map:
		in.Map = maps.Clone(in.Map)
		if in.Map == nil {
			in.Map = store.Item{}
		}
		in.Map[s.name] = v
	case s.name == "" && in.Type == attribute.List && s.index < len(in.List):
		in.List = slices.Clone(in.List)
		in.List[s.index] = v
	case s.name == "" && in.Type == attribute.List: // beyond the end means after the end
		in.List = append(slices.Clip(slices.Clone(in.List)), v)
	default:
		return in, errPath
	}
	return in, nil
}

// remove takes away what the paths lead to, in a copy of what is on the way. What
// is later in a list goes first, so that indexes mean the old list.
func remove(item store.Item, paths []Path) error {
	for _, p := range slices.SortedFunc(slices.Values(paths), lastFirst) {
		if len(p) == 1 {
			delete(item, p[0].name)
			continue
		}
		parent := p[:len(p)-1]
		in, ok := parent.Get(item)
		if !ok {
			return errPath
		}
		last := p[len(p)-1]
		if in.Type != last.container() {
			return errPath
		}
		if _, ok := child(in, last); !ok {
			continue
		}
		if last.name != "" {
			in.Map = maps.Clone(in.Map)
			delete(in.Map, last.name)
		} else {
			in.List = slices.Delete(slices.Clone(in.List), last.index, last.index+1)
		}
		if err := parent.set(item, in); err != nil {
			return err
		}
	}
	return nil
}

// lastFirst orders paths into the same list by falling index.
func lastFirst(a, b Path) int {
	return slices.CompareFunc(a, b, func(x, y step) int { return cmp.Or(cmp.Compare(x.name, y.name), y.index-x.index) })
}

// container is the type of the value that the step leads into.
func (s step) container() string {
	if s.name == "" {
		return attribute.List
	}
	return attribute.Map
}

// Project is the part of an item that the paths lead to. Elements of lists move
// together.
func Project(item store.Item, paths []Path) store.Item {
	out := store.Item{}
	for name := range rootsOf(paths) {
		v, ok := item[name]
		if !ok {
			continue
		}
		var rest []Path
		for _, p := range paths {
			if p.Root() == name {
				rest = append(rest, p[1:])
			}
		}
		if part, ok := projectValue(v, rest); ok {
			out[name] = part
		}
	}
	return out
}

func rootsOf(paths []Path) map[string]bool {
	names := map[string]bool{}
	for _, p := range paths {
		names[p.Root()] = true
	}
	return names
}

func projectValue(v store.Value, paths []Path) (store.Value, bool) {
	if slices.ContainsFunc(paths, func(p Path) bool { return len(p) == 0 }) {
		return v, true
	}
	switch v.Type {
	case attribute.Map:
		inside := Project(v.Map, slices.DeleteFunc(slices.Clone(paths), func(p Path) bool { return p[0].name == "" }))
		return store.Value{Type: attribute.Map, Map: inside}, len(inside) > 0
	case attribute.List:
		out := store.Value{Type: attribute.List}
		for i, e := range v.List {
			var rest []Path
			for _, p := range paths {
				if p[0].name == "" && p[0].index == i {
					rest = append(rest, p[1:])
				}
			}
			if part, ok := projectValue(e, rest); ok && len(rest) > 0 {
				out.List = append(out.List, part)
			}
		}
		return out, len(out.List) > 0
	}
	return store.Value{}, false
}
