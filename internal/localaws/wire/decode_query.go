package wire

import (
	"cmp"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// param is a node of the tree that dotted parameter names make.
type param struct {
	value string
	set   bool
	sub   map[string]*param
}

func (p *param) child(name string) *param {
	if p == nil {
		return nil
	}
	return p.sub[name]
}

// at follows a dotted name; locationName may hold one.
func (p *param) at(path string) *param {
	for name := range strings.SplitSeq(path, ".") {
		p = p.child(name)
	}
	return p
}

// parseParams parses a form into the tree. The first of several equal names
// counts. The tree is no deeper than a name is long and is never walked
// whole: the model leads every descent.
func parseParams(root *param, form string) bool {
	for pair := range strings.SplitSeq(form, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return false
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return false
		}
		node := root
		for part := range strings.SplitSeq(name, ".") {
			next := node.sub[part]
			if next == nil {
				next = &param{}
				if node.sub == nil {
					node.sub = map[string]*param{}
				}
				node.sub[part] = next
			}
			node = next
		}
		if !node.set {
			node.value, node.set = value, true
		}
	}
	return true
}

func (m *Model) decodeQuery(op *Operation, r *http.Request, body []byte, v reflect.Value) *Error {
	root := &param{}
	if !parseParams(root, string(body)) || !parseParams(root, r.URL.RawQuery) {
		return m.NewError("MalformedQueryString", "The query string contains a syntax error.")
	}
	return m.queryStructure(op.input, root, v, 0)
}

func (m *Model) queryStructure(s *shape, p *param, v reflect.Value, depth int) *Error {
	v = target(v)
	b, err := m.bind(s, v.Type())
	if err != nil {
		return m.NewError("InternalFailure", "%v", err)
	}
	union := v.Kind() == reflect.Interface
	for i := range b.fields {
		f := &b.fields[i]
		name := f.wire
		if f.flattened && f.shape.kind == kindList && f.shape.element.locationName != "" {
			name = f.shape.element.locationName
		}
		node := p.at(name)
		if node == nil {
			continue
		}
		slot := v
		if union {
			slot = reflect.New(f.concrete)
			v.Set(slot)
			slot = slot.Elem()
		}
		if e := m.queryValue(f.member, node, slot.Field(f.index), depth+1); e != nil {
			return e
		}
	}
	return nil
}

func (m *Model) queryValue(mb *member, p *param, v reflect.Value, depth int) *Error {
	if depth > maxDepth {
		return m.malformed("The parameters are nested too deeply")
	}
	switch mb.shape.kind {
	case kindStructure:
		return m.queryStructure(mb.shape, p, v, depth)
	case kindList:
		return m.queryList(mb, p, v, depth)
	case kindMap:
		return m.queryMap(mb, p, v, depth)
	}
	if !p.set {
		return m.malformed("Start of structure or map found where not expected.")
	}
	return m.setText(mb, p.value, v)
}

// queryList reads Name.member.N, or Name.N where flattened. "Name=" alone is
// the empty list.
func (m *Model) queryList(mb *member, p *param, v reflect.Value, depth int) *Error {
	items := p
	if !mb.flattened {
		items = p.child(mb.shape.element.wire)
	}
	nodes, ok := items.numbered()
	if !ok {
		return m.malformed("The index of a list is not a number")
	}
	out := reflect.MakeSlice(v.Type(), len(nodes), len(nodes))
	for i, node := range nodes {
		if e := m.queryValue(mb.shape.element, node, out.Index(i), depth+1); e != nil {
			return e
		}
	}
	v.Set(out)
	return nil
}

// queryMap reads Name.entry.N.key and .value, or Name.N.key where flattened.
func (m *Model) queryMap(mb *member, p *param, v reflect.Value, depth int) *Error {
	entries := p
	if !mb.flattened {
		entries = p.child("entry")
	}
	nodes, ok := entries.numbered()
	if !ok {
		return m.malformed("The index of a map is not a number")
	}
	out := reflect.MakeMapWithSize(v.Type(), len(nodes))
	for _, node := range nodes {
		keyNode, valueNode := node.child(mb.shape.key.wire), node.child(mb.shape.value.wire)
		if keyNode == nil || valueNode == nil {
			return m.malformed("An entry of a map has no key or no value")
		}
		key := reflect.New(v.Type().Key()).Elem()
		if e := m.queryValue(mb.shape.key, keyNode, key, depth+1); e != nil {
			return e
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if e := m.queryValue(mb.shape.value, valueNode, value, depth+1); e != nil {
			return e
		}
		out.SetMapIndex(key, value)
	}
	v.Set(out)
	return nil
}

// numbered returns the children in the order of their numbers; gaps are closed.
func (p *param) numbered() ([]*param, bool) {
	if p == nil {
		return nil, true
	}
	type item struct {
		index int
		node  *param
	}
	items := make([]item, 0, len(p.sub))
	for name, node := range p.sub {
		index, err := strconv.Atoi(name)
		if err != nil || index < 0 {
			return nil, false
		}
		items = append(items, item{index, node})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.index, b.index) })
	nodes := make([]*param, len(items))
	for i, it := range items {
		nodes[i] = it.node
	}
	return nodes, true
}
