package expression

import (
	"slices"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// Condition is a parsed condition or filter. A nil *Condition holds always.
type Condition struct {
	root node
}

// Condition parses a condition; kind names the parameter for messages:
// "ConditionExpression" or "FilterExpression".
func (p *Placeholders) Condition(kind, src string) (*Condition, error) {
	c := &Condition{}
	err := parse(p, kind, src, func(parser *parser) { c.root = parser.or() })
	return c, err
}

// Holds evaluates the condition on an item; nil is an item that does not exist.
func (c *Condition) Holds(item store.Item) bool {
	return c == nil || c.root.holds(item)
}

// Roots are the names of the attributes that the condition looks at.
func (c *Condition) Roots() []string {
	if c == nil {
		return nil
	}
	var names []string
	c.root.visit(func(p Path) { names = append(names, p.Root()) })
	return names
}

// node is a condition or a part of one.
//
//sumtype:decl
type node interface {
	holds(item store.Item) bool
	visit(func(Path))
}

type (
	orNode      struct{ a, b node }
	andNode     struct{ a, b node }
	notNode     struct{ of node }
	compareNode struct {
		operator string
		a, b     operand
	}
	betweenNode struct{ of, low, high operand }
	inNode      struct {
		of   operand
		list []operand
	}
	existsNode struct {
		path   Path
		wanted bool
	}
	callNode struct { // attribute_type, begins_with, contains
		function string
		of, arg  operand
	}
)

func (n orNode) holds(item store.Item) bool  { return n.a.holds(item) || n.b.holds(item) }
func (n andNode) holds(item store.Item) bool { return n.a.holds(item) && n.b.holds(item) }
func (n notNode) holds(item store.Item) bool { return !n.of.holds(item) }

func (n compareNode) holds(item store.Item) bool {
	a, okA := n.a.get(item)
	b, okB := n.b.get(item)
	switch n.operator {
	case "=":
		return okA && okB && attribute.Equal(a, b)
	case "<>": // an attribute that is missing differs from every value
		return !(okA && okB && attribute.Equal(a, b))
	}
	order, ok := attribute.Compare(a, b)
	if !okA || !okB || !ok {
		return false
	}
	switch n.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (n betweenNode) holds(item store.Item) bool {
	return compareNode{">=", n.of, n.low}.holds(item) && compareNode{"<=", n.of, n.high}.holds(item)
}

func (n inNode) holds(item store.Item) bool {
	return slices.ContainsFunc(n.list, func(o operand) bool { return compareNode{"=", n.of, o}.holds(item) })
}

func (n existsNode) holds(item store.Item) bool {
	_, ok := n.path.Get(item)
	return ok == n.wanted
}

func (n callNode) holds(item store.Item) bool {
	v, ok := n.of.get(item)
	arg, okArg := n.arg.get(item)
	if !ok || !okArg {
		return false
	}
	switch n.function {
	case "attribute_type":
		return v.Type == arg.Text
	case "begins_with":
		return attribute.HasPrefix(v, arg)
	}
	return attribute.Contains(v, arg)
}

func (n orNode) visit(f func(Path))      { n.a.visit(f); n.b.visit(f) }
func (n andNode) visit(f func(Path))     { n.a.visit(f); n.b.visit(f) }
func (n notNode) visit(f func(Path))     { n.of.visit(f) }
func (n compareNode) visit(f func(Path)) { visit(f, n.a, n.b) }
func (n betweenNode) visit(f func(Path)) { visit(f, n.of, n.low, n.high) }
func (n inNode) visit(f func(Path))      { visit(f, n.of); visit(f, n.list...) }
func (n existsNode) visit(f func(Path))  { f(n.path) }
func (n callNode) visit(f func(Path))    { visit(f, n.of, n.arg) }

func visit(f func(Path), operands ...operand) {
	for _, o := range operands {
		if o.path != nil {
			f(o.path)
		}
	}
}

// operand is a value, what a path leads to, or the size of that.
type operand struct {
	path    Path // nil for values
	literal store.Value
	size    bool
}

func (o operand) get(item store.Item) (store.Value, bool) {
	v, ok := o.literal, true
	if o.path != nil {
		v, ok = o.path.Get(item)
	}
	if !ok || !o.size {
		return v, ok
	}
	n, ok := attribute.Length(v)
	return number(n), ok
}

func (p *parser) or() node {
	n := p.and()
	for p.err == nil && p.accept("OR") {
		p.operator()
		n = orNode{n, p.and()}
	}
	return n
}

func (p *parser) and() node {
	n := p.not()
	for p.err == nil && p.accept("AND") {
		p.operator()
		n = andNode{n, p.not()}
	}
	return n
}

func (p *parser) not() node {
	if p.accept("NOT") {
		defer p.enter()()
		p.operator()
		return notNode{p.not()}
	}
	return p.primary()
}

func (p *parser) primary() node {
	defer p.enter()()
	if p.accept("(") {
		n := p.or()
		p.expect(")")
		return n
	}
	start := p.at
	if name, ok := p.call(); ok && name != "size" {
		return p.function(name)
	}
	p.at = start
	return p.comparison()
}

func (p *parser) function(name string) node {
	switch name {
	case "attribute_exists", "attribute_not_exists":
		n := existsNode{p.path(), name == "attribute_exists"}
		p.expect(")")
		return n
	case "attribute_type", "begins_with", "contains":
		n := callNode{function: name, of: p.operand()}
		p.expect(",")
		n.arg = p.operand()
		p.expect(")")
		p.checkArgument(n)
		return n
	}
	p.fail(attribute.Problemf("Invalid function name; function: %s", name))
	return nil
}

// checkArgument refuses literal arguments that can never fit.
func (p *parser) checkArgument(n callNode) {
	if p.err != nil || n.arg.path != nil || n.arg.size {
		return
	}
	kind := n.arg.literal.Type
	switch {
	case n.function == "begins_with" && kind != attribute.String && kind != attribute.Binary,
		n.function == "attribute_type" && kind != attribute.String:
		p.fail(attribute.Problemf("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", n.function, kind))
	case n.function == "attribute_type" && !slices.Contains(types(), n.arg.literal.Text):
		p.fail(attribute.Problemf("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", n.arg.literal.Text))
	}
}

func types() []string { return []string{"B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"} }

func (p *parser) comparison() node {
	of := p.operand()
	if p.err != nil {
		return nil
	}
	p.operator()
	switch t := p.next(); {
	case t.kind == symbolToken && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text):
		n := compareNode{t.text, of, p.operand()}
		p.ordered(t.text, n.a, n.b)
		return n
	case t.kind == wordToken && equalFold(t.text, "BETWEEN"):
		n := betweenNode{of: of, low: p.operand()}
		p.expect("AND")
		n.high = p.operand()
		p.ordered("BETWEEN", n.of, n.low, n.high)
		return n
	case t.kind == wordToken && equalFold(t.text, "IN"):
		return inNode{of, p.operands()}
	default:
		p.fail(syntaxError(p.src, t))
	}
	return nil
}

// ordered refuses literals that have no order.
func (p *parser) ordered(operator string, operands ...operand) {
	if operator == "=" || operator == "<>" {
		return
	}
	for _, o := range operands {
		if _, ok := attribute.Compare(o.literal, o.literal); p.err == nil && o.path == nil && !ok {
			p.fail(attribute.Problemf("Incorrect operand type for operator or function; operator: %s, operand type: %s", operator, o.literal.Type))
		}
	}
}

func (p *parser) operands() []operand {
	var list []operand
	p.expect("(")
	for p.err == nil {
		list = append(list, p.operand())
		if len(list) > maxIn {
			p.fail(attribute.Problemf("Too many operands for operator or function; operator or function: IN, number of operands: %d", len(list)))
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return list
}

func (p *parser) operand() operand {
	if p.err != nil {
		return operand{}
	}
	if p.accept("(") {
		defer p.enter()()
		o := p.operand()
		p.expect(")")
		return o
	}
	if p.peek().kind == valueToken {
		return operand{literal: p.value()}
	}
	name, ok := p.call()
	if !ok {
		return operand{path: p.path()}
	}
	if name != "size" {
		p.fail(attribute.Problemf("The function is not allowed to be used this way in an expression; function: %s", name))
		return operand{}
	}
	o := p.operand()
	o.size = true
	p.expect(")")
	return o
}
