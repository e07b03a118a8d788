package expression

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// Update is a parsed UpdateExpression.
type Update struct {
	sets    []assignment
	removes []Path
	adds    []change
	deletes []change
}

type assignment struct {
	path  Path
	value term
}

type change struct {
	path  Path
	value store.Value
}

// Update parses an UpdateExpression.
func (p *Placeholders) Update(src string) (*Update, error) {
	u := &Update{}
	err := parse(p, "UpdateExpression", src, func(parser *parser) {
		seen := map[string]bool{}
		for parser.err == nil && parser.peek().kind != endToken {
			clause := strings.ToUpper(parser.peek().text)
			if seen[clause] {
				parser.fail(attribute.Problemf("The %q section can only be used once in an update expression;", clause))
				return
			}
			seen[clause] = true
			u.clause(parser, clause)
		}
		parser.distinct(u.Paths())
	})
	return u, err
}

func (u *Update) clause(p *parser, name string) {
	read := map[string]func(){
		"SET": func() { u.sets = append(u.sets, p.assignment()) },
		"REMOVE": func() {
			u.removes = append(u.removes, p.path())
			p.operator()
		},
		"ADD":    func() { u.adds = append(u.adds, p.change("ADD")) },
		"DELETE": func() { u.deletes = append(u.deletes, p.change("DELETE")) },
	}[name]
	if read == nil || p.peek().kind != wordToken {
		p.unexpected()
		return
	}
	p.next()
	for p.err == nil {
		read()
		if !p.accept(",") {
			return
		}
	}
}

func (p *parser) assignment() assignment {
	a := assignment{path: p.path()}
	p.expect("=")
	p.operator()
	a.value = p.sum()
	return a
}

func (p *parser) change(clause string) change {
	c := change{p.path(), p.value()}
	p.operator()
	if p.err == nil && !attribute.IsSet(c.value) && (clause == "DELETE" || c.value.Type != attribute.Number) {
		p.fail(attribute.Problemf("Incorrect operand type for operator or function; operator: %s, operand type: %s", clause, longType(c.value.Type)))
	}
	return c
}

// longType is how messages of ADD and DELETE call a type.
func longType(kind string) string {
	switch kind {
	case attribute.String:
		return "STRING"
	case attribute.Number:
		return "NUMBER"
	case attribute.Binary:
		return "BINARY"
	case attribute.List:
		return "LIST"
	case attribute.Map:
		return "MAP"
	case attribute.Null:
		return "NULL"
	case attribute.Bool:
		return "BOOLEAN"
	}
	return kind
}

// term is the right side of an assignment.
//
//sumtype:decl
type term interface {
	eval(item store.Item) (store.Value, error)
}

type (
	plainTerm struct{ operand }
	sumTerm   struct {
		a, b     term
		subtract bool
	}
	ifNotExistsTerm struct {
		path      Path
		otherwise term
	}
	appendTerm struct{ a, b term }
)

func (t plainTerm) eval(item store.Item) (store.Value, error) {
	v, ok := t.get(item)
	if !ok {
		return v, attribute.Problem("The provided expression refers to an attribute that does not exist in the item")
	}
	return v, nil
}

func (t sumTerm) eval(item store.Item) (store.Value, error) {
	a, err := t.a.eval(item)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(item)
	if err != nil {
		return b, err
	}
	return attribute.Sum(a, b, t.subtract)
}

func (t ifNotExistsTerm) eval(item store.Item) (store.Value, error) {
	if v, ok := t.path.Get(item); ok {
		return v, nil
	}
	return t.otherwise.eval(item)
}

func (t appendTerm) eval(item store.Item) (store.Value, error) {
	a, err := t.a.eval(item)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(item)
	if err != nil {
		return b, err
	}
	if a.Type != attribute.List || b.Type != attribute.List {
		return store.Value{}, attribute.ErrType
	}
	return store.Value{Type: attribute.List, List: slices.Concat(a.List, b.List)}, nil
}

func (p *parser) sum() term {
	a := p.term()
	for _, operator := range []string{"+", "-"} {
		if p.err == nil && p.accept(operator) {
			p.operator()
			t := sumTerm{a, p.term(), operator == "-"}
			p.numeric(operator, t.a, t.b)
			return t
		}
	}
	return a
}

// numeric refuses literals that are no numbers.
func (p *parser) numeric(operator string, terms ...term) {
	for _, t := range terms {
		plain, ok := t.(plainTerm)
		if ok && p.err == nil && plain.path == nil && plain.literal.Type != attribute.Number {
			p.fail(attribute.Problemf("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", operator, plain.literal.Type))
		}
	}
}

func (p *parser) term() term {
	if p.accept("(") {
		defer p.enter()()
		t := p.sum()
		p.expect(")")
		return t
	}
	name, ok := p.call()
	if !ok {
		return plainTerm{p.operand()}
	}
	defer p.enter()()
	switch name {
	case "if_not_exists":
		t := ifNotExistsTerm{path: p.path()}
		p.expect(",")
		t.otherwise = p.term()
		p.expect(")")
		return t
	case "list_append":
		t := appendTerm{a: p.term()}
		p.expect(",")
		t.b = p.term()
		p.expect(")")
		return t
	}
	p.fail(attribute.Problemf("Invalid function name; function: %s", name))
	return nil
}

// Paths are the paths that the update changes.
func (u *Update) Paths() []Path {
	var paths []Path
	for _, a := range u.sets {
		paths = append(paths, a.path)
	}
	paths = append(paths, u.removes...)
	for _, c := range slices.Concat(u.adds, u.deletes) {
		paths = append(paths, c.path)
	}
	return paths
}

// Apply gives the item as it is after the update. Every right side is evaluated on
// the item as it was.
func (u *Update) Apply(old store.Item) (store.Item, error) {
	item := maps.Clone(old)
	if item == nil {
		item = store.Item{}
	}
	for _, a := range u.sets {
		v, err := a.value.eval(old)
		if err != nil {
			return nil, err
		}
		if err := a.path.set(item, v); err != nil {
			return nil, err
		}
	}
	for _, c := range u.adds {
		if err := c.add(old, item); err != nil {
			return nil, err
		}
	}
	for _, c := range u.deletes {
		if err := c.subtract(old, item); err != nil {
			return nil, err
		}
	}
	return item, remove(item, u.removes)
}

func (c change) add(old, item store.Item) error {
	have, ok := c.path.Get(old)
	if !ok {
		return c.path.set(item, c.value)
	}
	if c.value.Type == attribute.Number {
		sum, err := attribute.Sum(have, c.value, false)
		if err != nil {
			return err
		}
		return c.path.set(item, sum)
	}
	if have.Type != c.value.Type {
		return attribute.ErrType
	}
	return c.path.set(item, attribute.Union(have, c.value))
}

func (c change) subtract(old, item store.Item) error {
	have, ok := c.path.Get(old)
	if !ok {
		return nil
	}
	if have.Type != c.value.Type {
		return attribute.ErrType
	}
	left, ok := attribute.Difference(have, c.value)
	if !ok {
		return remove(item, []Path{c.path})
	}
	return c.path.set(item, left)
}

func number(n int) store.Value {
	return store.Value{Type: attribute.Number, Text: strconv.Itoa(n)}
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
