package saml

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// canonical writes an element as Exclusive XML Canonicalization 1.0 without
// comments has it: a namespace is declared where it is first used, and those of
// the inclusive prefixes also where they are not.
type canonical struct {
	b         strings.Builder
	skip      *element // left out with all below it
	inclusive []string // prefixes; "" is the default namespace
}

// canonicalize gives the canonical form of e without the element skip.
func canonicalize(e, skip *element, inclusive []string) []byte {
	c := &canonical{skip: skip, inclusive: inclusive}
	c.element(e, map[string]string{})
	return []byte(c.b.String())
}

// element writes e; rendered are the declarations in force in the output.
func (c *canonical) element(e *element, rendered map[string]string) {
	declared := c.needed(e)
	inner := rendered
	var fresh []string
	for prefix, space := range declared {
		have, known := rendered[prefix]
		if known && have == space || !known && prefix == "" && space == "" {
			continue
		}
		fresh = append(fresh, prefix)
	}
	slices.Sort(fresh)
	if len(fresh) > 0 {
		inner = maps.Clone(rendered)
	}
	c.b.WriteString("<" + e.name.written())
	for _, prefix := range fresh {
		inner[prefix] = declared[prefix]
		c.b.WriteString(" xmlns")
		if prefix != "" {
			c.b.WriteString(":" + prefix)
		}
		c.b.WriteString(`="` + attributeEscapes.Replace(declared[prefix]) + `"`)
	}
	attrs := slices.Clone(e.attrs)
	slices.SortFunc(attrs, func(a, b attribute) int {
		return cmp.Or(strings.Compare(a.name.space, b.name.space), strings.Compare(a.name.local, b.name.local))
	})
	for _, a := range attrs {
		c.b.WriteString(" " + a.name.written() + `="` + attributeEscapes.Replace(a.value) + `"`)
	}
	c.b.WriteString(">")
	for _, child := range e.children {
		switch {
		case child.element == nil:
			c.b.WriteString(textEscapes.Replace(child.text))
		case child.element != c.skip:
			c.element(child.element, inner)
		}
	}
	c.b.WriteString("</" + e.name.written() + ">")
}

// needed are the declarations that an element uses visibly, and the inclusive ones.
func (c *canonical) needed(e *element) map[string]string {
	out := map[string]string{}
	add := func(prefix string) {
		if space, ok := e.namespace(prefix); ok && prefix != "xml" {
			out[prefix] = space
		}
	}
	add(e.name.prefix)
	for _, a := range e.attrs {
		if a.name.prefix != "" {
			add(a.name.prefix)
		}
	}
	for _, prefix := range c.inclusive {
		add(prefix)
	}
	return out
}

// What texts and attributes' values are written with (Canonical XML 1.0, section
// 2.3). Nothing writes to them.
var (
	textEscapes      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attributeEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)
