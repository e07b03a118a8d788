package expression

import (
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// parser reads one expression. Its methods stop at the first error, which fail
// keeps.
type parser struct {
	src    string
	tokens []token
	at     int
	hold   *Placeholders
	err    error
	depth  int
	count  int // of operators
}

// parse runs read over all of src. Errors are prefixed with the kind of expression.
func parse(p *Placeholders, kind, src string, read func(*parser)) error {
	prefix := "Invalid " + kind + ": "
	if strings.TrimSpace(src) == "" {
		return attribute.Problem(prefix + "The expression can not be empty;")
	}
	if len(src) > maxExpression {
		return attribute.Problemf("%sExpression size has exceeded the maximum allowed size; expression size: %d", prefix, len(src))
	}
	tokens, err := lex(src)
	if err != nil {
		return attribute.Problem(prefix + err.Error())
	}
	parser := &parser{src: src, tokens: tokens, hold: p}
	read(parser)
	if parser.err == nil && parser.peek().kind != endToken {
		parser.unexpected()
	}
	if parser.err != nil {
		return attribute.Problem(prefix + parser.err.Error())
	}
	return nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != endToken {
		p.at++
	}
	return t
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.at = len(p.tokens) - 1
}

func (p *parser) unexpected() { p.fail(syntaxError(p.src, p.peek())) }

// accept takes the next token if it is the symbol or keyword.
func (p *parser) accept(text string) bool {
	t := p.peek()
	if t.kind == symbolToken && t.text == text || t.kind == wordToken && isKeyword(text) && strings.EqualFold(t.text, text) {
		p.at++
		return true
	}
	return false
}

func isKeyword(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.unexpected()
	}
}

// operator counts operators and functions against their limit.
func (p *parser) operator() {
	if p.count++; p.count > maxOperators {
		p.fail(attribute.Problemf("The expression contains too many operators; operator count: %d", p.count))
	}
}

// enter guards against deep nesting; leave it by the function returned.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail(attribute.Problem("The expression has too many nested levels"))
	}
	return func() { p.depth-- }
}

// path reads a document path.
func (p *parser) path() Path {
	path := Path{{name: p.name()}}
	for p.err == nil {
		switch {
		case p.accept("."):
			path = append(path, step{name: p.name()})
		case p.accept("["):
			path = append(path, step{index: p.index()})
			p.expect("]")
		default:
			return path
		}
		if len(path) > maxDepth {
			p.fail(attribute.Problem("The document path has too many nesting elements"))
		}
	}
	return path
}

func (p *parser) name() string {
	switch t := p.peek(); t.kind {
	case nameToken:
		p.at++
		name, ok := p.hold.names[t.text]
		if !ok {
			p.fail(attribute.Problemf("An expression attribute name used in the document path is not defined; attribute name: %s", t.text))
			return "?"
		}
		p.hold.usedNames[t.text] = true
		return name
	case wordToken:
		p.at++
		if reserved()[strings.ToUpper(t.text)] {
			p.fail(attribute.Problemf("Attribute name is a reserved keyword; reserved keyword: %s", t.text))
		}
		return t.text
	}
	p.unexpected()
	return "?"
}

func (p *parser) index() int {
	t := p.next()
	n, err := strconv.Atoi(t.text)
	if t.kind != numberToken || err != nil || n > 1<<20 {
		p.fail(syntaxError(p.src, t))
		return 0
	}
	return n
}

func (p *parser) value() store.Value {
	t := p.next()
	if t.kind != valueToken {
		p.fail(syntaxError(p.src, t))
		return store.Value{}
	}
	v, ok := p.hold.values[t.text]
	if !ok {
		p.fail(attribute.Problemf("An expression attribute value used in expression is not defined; attribute value: %s", t.text))
	}
	p.hold.usedValues[t.text] = true
	return v
}

// call reports whether a function of that name is called here.
func (p *parser) call() (name string, ok bool) {
	t := p.peek()
	if t.kind != wordToken || p.tokens[min(p.at+1, len(p.tokens)-1)].text != "(" {
		return "", false
	}
	p.at += 2
	p.operator()
	return t.text, true
}

// Projection parses a ProjectionExpression.
func (p *Placeholders) Projection(src string) ([]Path, error) {
	var paths []Path
	err := parse(p, "ProjectionExpression", src, func(parser *parser) {
		for {
			paths = append(paths, parser.path())
			if !parser.accept(",") {
				break
			}
		}
		parser.distinct(paths)
	})
	return paths, err
}

// distinct refuses paths of which one leads into the other.
func (p *parser) distinct(paths []Path) {
	if p.err != nil {
		return
	}
	for i, a := range paths {
		for _, b := range paths[i+1:] {
			if a.overlaps(b) {
				p.fail(attribute.Problemf("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b))
				return
			}
		}
	}
}

// Attributes makes paths of plain attribute names, for the older AttributesToGet.
func Attributes(names []string) []Path {
	paths := make([]Path, len(names))
	for i, name := range names {
		paths[i] = Path{{name: name}}
	}
	return paths
}
