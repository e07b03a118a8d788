package saml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of documents: STS takes 100,000 characters of Base64, IAM 10,000,000 of
// metadata.
const (
	maxElements   = 200_000
	maxDepth      = 64
	maxAttributes = 100
)

// The namespaces of what is read.
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS     = "http://www.w3.org/2000/xmlns/"
)

// name is a name as written and the namespace that its prefix stands for.
type name struct{ prefix, local, space string }

func (n name) is(space, local string) bool { return n.space == space && n.local == local }

// written is the name with its prefix.
func (n name) written() string {
	if n.prefix == "" {
		return n.local
	}
	return n.prefix + ":" + n.local
}

type attribute struct {
	name  name
	value string
}

// element is an element of a document. The tree is not changed once it is built.
type element struct {
	name     name
	parent   *element
	declared map[string]string // prefix to namespace, on this element
	attrs    []attribute
	children []node
}

// node is an element, or a text.
type node struct {
	element *element
	text    string
}

// parser builds a tree.
type parser struct {
	decoder  *xml.Decoder
	comments bool // dropped where allowed
	root, at *element
	elements int
	depth    int
}

// parse reads a document. comments lets comments and processing instructions
// pass, which are dropped then.
func parse(text []byte, comments bool) (*element, error) {
	p := &parser{decoder: xml.NewDecoder(strings.NewReader(string(text))), comments: comments}
	p.decoder.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("its encoding is %q, want UTF-8", charset)
	}
	for {
		token, err := p.decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.token(token); err != nil {
			return nil, err
		}
	}
	if p.root == nil || p.at != nil {
		return nil, errors.New("the document is not complete")
	}
	return p.root, nil
}

func (p *parser) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		if p.at == nil || p.at.name.prefix != t.Name.Space || p.at.name.local != t.Name.Local {
			return errors.New("its elements are not nested")
		}
		p.at = p.at.parent
		p.depth--
	case xml.CharData:
		if p.at != nil {
			p.at.children = append(p.at.children, node{text: string(t)})
		} else if strings.TrimSpace(string(t)) != "" {
			return errors.New("there is text outside of its element")
		}
	case xml.Comment:
		if !p.comments {
			return errors.New("there is a comment in it")
		}
	case xml.ProcInst:
		if t.Target != "xml" && !p.comments || t.Target == "xml" && p.root != nil {
			return errors.New("there is a processing instruction in it")
		}
	case xml.Directive:
		return errors.New("there is a document type in it")
	}
	return nil
}

func (p *parser) start(t xml.StartElement) error {
	if p.elements++; p.elements > maxElements {
		return errors.New("it has too many elements")
	}
	if p.depth++; p.depth > maxDepth || len(t.Attr) > maxAttributes {
		return errors.New("its elements are nested too deep, or have too many attributes")
	}
	if p.at == nil && p.root != nil {
		return errors.New("it has more than one element at its top")
	}
	e := &element{parent: p.at, declared: map[string]string{}}
	if err := e.declare(t.Attr); err != nil {
		return err
	}
	var err error
	if e.name, err = e.resolve(t.Name, true); err != nil {
		return err
	}
	for _, a := range t.Attr {
		if isDeclaration(a.Name) {
			continue
		}
		n, err := e.resolve(a.Name, false)
		if err != nil {
			return err
		}
		if _, twice := e.attr(n.space, n.local); twice {
			return fmt.Errorf("the attribute %s is there twice", n.local)
		}
		e.attrs = append(e.attrs, attribute{n, a.Value})
	}
	if p.at != nil {
		p.at.children = append(p.at.children, node{element: e})
	} else {
		p.root = e
	}
	p.at = e
	return nil
}

// isDeclaration reports xmlns="…" and xmlns:p="…".
func isDeclaration(n xml.Name) bool {
	return n.Space == "xmlns" || n.Space == "" && n.Local == "xmlns"
}

// declare notes the namespaces that attributes declare (Namespaces in XML 1.0,
// section 3).
func (e *element) declare(attrs []xml.Attr) error {
	for _, a := range attrs {
		if !isDeclaration(a.Name) {
			continue
		}
		prefix := a.Name.Local
		if a.Name.Space == "" {
			prefix = ""
		}
		_, twice := e.declared[prefix]
		switch {
		case twice:
			return fmt.Errorf("the prefix %q is declared twice", prefix)
		case prefix == "xmlns" || a.Value == nsXMLNS || (prefix == "xml") != (a.Value == nsXML) || prefix != "" && a.Value == "":
			return fmt.Errorf("the prefix %q cannot be declared so", prefix)
		}
		e.declared[prefix] = a.Value
	}
	return nil
}

// namespace is what a prefix stands for at e.
func (e *element) namespace(prefix string) (string, bool) {
	if prefix == "xml" {
		return nsXML, true
	}
	for at := e; at != nil; at = at.parent {
		if space, ok := at.declared[prefix]; ok {
			return space, true
		}
	}
	return "", prefix == ""
}

// resolve gives a name its namespace. Attributes without a prefix have none.
func (e *element) resolve(n xml.Name, isElement bool) (name, error) {
	out := name{prefix: n.Space, local: n.Local}
	if strings.Contains(n.Local, ":") || n.Local == "" {
		return out, fmt.Errorf("the name %q cannot be read", n.Local)
	}
	if n.Space == "" && !isElement {
		return out, nil
	}
	space, ok := e.namespace(n.Space)
	if !ok {
		return out, fmt.Errorf("the prefix %q is not declared", n.Space)
	}
	out.space = space
	return out, nil
}

// attr is the value of an attribute, "" and false where there is none.
func (e *element) attr(space, local string) (string, bool) {
	for _, a := range e.attrs {
		if a.name.is(space, local) {
			return a.value, true
		}
	}
	return "", false
}

// plain is the value of an attribute without a namespace, "" where there is none.
func (e *element) plain(local string) string {
	value, _ := e.attr("", local)
	return value
}

// all are the child elements with a name, in order.
func (e *element) all(space, local string) []*element {
	var found []*element
	for _, c := range e.children {
		if c.element != nil && c.element.name.is(space, local) {
			found = append(found, c.element)
		}
	}
	return found
}

// one is the only child element with a name, nil when there is none or are more.
func (e *element) one(space, local string) *element {
	if found := e.all(space, local); len(found) == 1 {
		return found[0]
	}
	return nil
}

// value is the text of an element without child elements, trimmed.
func (e *element) value() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range e.children {
		if c.element != nil {
			return ""
		}
		b.WriteString(c.text)
	}
	return strings.TrimSpace(b.String())
}

// walk calls visit for e and all below it.
func (e *element) walk(visit func(*element)) {
	visit(e)
	for _, c := range e.children {
		if c.element != nil {
			c.element.walk(visit)
		}
	}
}
