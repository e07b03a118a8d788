package residue

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/operator"
	"github.com/stile-aws/stile/authz/internal/witness"
	"github.com/stile-aws/stile/internal/glob"
)

// The bounds of simplification. Past them conditions on one key are taken for
// independent, and alternatives are left out of what is printed; neither
// changes what Decide answers.
const (
	maxAlternatives = 32
	maxComparisons  = 1 << 20 // for the witnesses of all keys together
	maxListed       = 5       // values of which all lists are tried
	maxDigits       = 64
)

// simplified is a residual as sums over the cells of its keys. A cell is a set
// of values that no condition on the key tells apart.
type simplified struct {
	space   *formula.Space
	allowed formula.Sum // granted and not explicitly denied
	denied  formula.Sum // explicitly
	granted formula.Sum // whatever denies; made where allowed could not be listed
	names   map[int]*cellNames
}

// cellNames has the values that make up cells of a key, where these are single
// texts: they can be said with StringEquals.
type cellNames struct {
	key    string
	values [][]string // by cell; nil for cells that have other values, too
}

// equal gives the values that make up cells; ok is false when other values do, too.
func (n *cellNames) equal(cells uint64) (values []string, ok bool) {
	if n == nil {
		return nil, false
	}
	for cell, v := range n.values {
		if cells>>cell&1 == 0 {
			continue
		}
		if v == nil {
			return nil, false
		}
		values = append(values, v...)
	}
	slices.Sort(values)
	return values, len(values) > 0
}

func (r *Residual) simplify() {
	s := &r.simple
	s.space, s.names = formula.NewSpace(len(r.atoms)), map[int]*cellNames{}
	w := witnesses{residual: r, c: r.comparer(nil), budget: maxComparisons}
	for _, k := range r.keys {
		w.c.Context.SetUnknown(k.name)
	}
	byKey := r.atomsByKey()
	for _, k := range r.keys {
		if atoms := byKey[k.name]; atoms != nil {
			w.relate(k, atoms)
		}
	}
	s.denied = s.space.Sum(r.deny, maxAlternatives)
	s.allowed = s.space.Sum(r.allow.And(r.deny.Not()), maxAlternatives)
	if !s.allowed.Whole && len(s.allowed.Products) == 0 {
		s.granted = s.space.Sum(r.allow, maxAlternatives)
	}
}

// Settled tells what is the case whatever the unknown keys are: that the
// request is denied explicitly, that it is not allowed, that it is allowed.
func (r *Residual) Settled() (denied, never, allowed bool) {
	s := &r.simple
	return s.denied.Always(), s.allowed.Never(), s.allowed.Always()
}

// witnesses relates the atoms on one key to each other, by comparing all of
// them with a few values that stand for all others.
type witnesses struct {
	residual *Residual
	c        *condition.Comparer
	budget   int

	key     string
	always  bool // the key is never absent
	atoms   []keyAtom
	columns []formula.Column
	groups  map[string]int
	others  map[string]bool // values that stand for further ones, which no atom names
}

// keyAtom is an atom of which the key at hand is the only unknown one.
type keyAtom struct {
	number int
	form   form
	texts  []string // that the key is compared with; for formText
	fold   bool     // without regard to case
	set    bool     // under a set operator
}

// form is what is known of how an atom compares values.
type form uint8

const (
	formText   form = iota // with some texts
	formNumber             // with numbers
	formTime               // with dates
	formNull               // with nothing: it asks whether the key is there
	formLoose              // in another way, so that it may hold for any further text
)

// atomsByKey lists the atoms that have one unknown key, by that.
func (r *Residual) atomsByKey() map[string][]int {
	unknown := map[string]bool{}
	for _, k := range r.keys {
		unknown[k.name] = true
	}
	byKey := map[string][]int{}
	for i := range r.atoms {
		only, several := "", r.atoms[i].Constraint != nil
		r.atoms[i].keys(func(k *condition.Key) {
			if unknown[k.Name] {
				several = several || only != "" && only != k.Name
				only = k.Name
			}
		})
		if only != "" && !several {
			byKey[only] = append(byKey[only], i)
		}
	}
	return byKey
}

// relate makes the atoms on key, of which it is the only unknown one, be about
// one variable of the space.
func (w *witnesses) relate(key key, atoms []int) {
	w.key, w.always, w.atoms, w.columns, w.groups = key.name, key.value != "", nil, nil, map[string]int{}
	w.others = map[string]bool{}
	for _, i := range atoms {
		w.atoms = append(w.atoms, w.classify(i, &w.residual.atoms[i]))
	}
	lists := w.lists()
	cost := 0
	for i := range w.atoms {
		w.columns = append(w.columns, w.column(w.atoms[i].number))
		if c := w.residual.atoms[w.atoms[i].number].Condition; c != nil {
			cost += c.Count()
		}
		cost++
	}
	if w.budget -= cost * len(lists); w.budget < 0 {
		return
	}
	rows := make([][]formula.Term, len(lists))
	for i, list := range lists {
		rows[i] = w.row(list)
	}
	w.c.Context.SetUnknown(key.name)
	cells, variable, ok := w.residual.simple.space.Join(w.columns, rows)
	if ok {
		w.name(variable, lists, cells)
	}
}

// classify finds the form of an atom.
func (w *witnesses) classify(number int, a *Atom) keyAtom {
	k := keyAtom{number: number, form: formLoose}
	if a.Resource != nil {
		k.hole(&a.Resource.Rest, w.c.Rest, !strings.ContainsAny(w.c.Rest, "*?"))
		return k
	}
	c := a.Condition
	k.set = c.Set != operator.NoSet
	if c.Key.Name != w.key {
		w.holes(&k, c)
		return k
	}
	switch c.Kind {
	case operator.StringEquals, operator.StringLike, operator.StringIgnoreCase, operator.Bool, operator.ARN:
		k.form, k.fold = formText, c.Kind == operator.StringIgnoreCase || c.Kind == operator.Bool
		for i := range c.Patterns {
			w.literal(&k, &c.Patterns[i], c.Kind)
		}
	case operator.Numeric:
		k.form = formNumber
	case operator.Date:
		k.form = formTime
	case operator.Null:
		k.form = formNull
	case operator.IP, operator.Binary:
	}
	return k
}

// literal adds the one text that p matches, or makes k loose.
func (w *witnesses) literal(k *keyAtom, p *condition.Pattern, kind operator.Kind) {
	text, exact := p.Exact()
	if p.Varies() {
		x := w.c.Expand(p)
		if x.Missing {
			return
		}
		open := x.Open || x.Long || x.Wild && (kind == operator.StringLike || kind == operator.ARN)
		text, exact = string(x.Text), !open && glob.Index(string(x.Text)) < 0
	}
	if !exact || kind == operator.ARN && strings.Count(text, ":") < 5 {
		k.form = formLoose
		return
	}
	k.texts = append(k.texts, text)
}

// holes finds the texts of a variable that make c hold, whose own key is known.
func (w *witnesses) holes(k *keyAtom, c *condition.Condition) {
	got := w.c.Lookup(&c.Key)
	if c.Kind != operator.StringEquals && c.Kind != operator.StringLike || got.Len() != 1 {
		return
	}
	k.form = formText
	for i := range c.Patterns {
		if c.Patterns[i].Varies() {
			k.hole(&c.Patterns[i], got.At(0), c.Kind == operator.StringEquals || !strings.ContainsAny(got.At(0), "*?"))
		}
		if k.form == formLoose {
			return
		}
	}
}

// hole adds the one value of the variable in p that makes p match s. plain is
// false when that value could be taken for a pattern.
func (k *keyAtom) hole(p *condition.Pattern, s string, plain bool) {
	before, after, ok := p.Around()
	if k.form = formLoose; !ok || !plain {
		return
	}
	k.form = formText
	rest, begins := strings.CutPrefix(s, before)
	if value, ends := strings.CutSuffix(rest, after); begins && ends {
		k.texts = append(k.texts, value)
	}
}

// column says which atoms are free together where nothing tells whether they
// hold: those that differ in a negation only.
func (w *witnesses) column(number int) formula.Column {
	a := &w.residual.atoms[number]
	id := "atom " + strconv.Itoa(number)
	flip := false
	if c := a.Condition; c != nil {
		all := c.Set == operator.ForAllValues
		flip = c.Negated
		id = "some "
		if all != c.Negated && c.Set != operator.NoSet {
			id = "all "
		}
		id += strconv.Itoa(int(c.Kind)) + " " + strconv.Itoa(int(c.Relation)) + " " + c.Key.Name + strconv.FormatBool(c.Literal)
		for _, v := range c.Written.Values {
			id += strconv.Quote(v.Value)
		}
	}
	if _, ok := w.groups[id]; !ok {
		w.groups[id] = len(w.groups)
	}
	return formula.Column{Atom: number, Group: w.groups[id], Flip: flip}
}

// lists gives what the key may have: nil for absent, one value, or several
// where that can be. The last of the single ones stands for all that no atom
// names.
func (w *witnesses) lists() (lists [][]string) {
	values := w.values()
	w.others[values[len(values)-1]] = true
	if !w.always {
		lists = append(lists, nil)
	}
	for _, v := range values {
		lists = append(lists, []string{v})
	}
	several := w.residual.multivalued[w.key] || slices.ContainsFunc(w.atoms, func(k keyAtom) bool { return k.set })
	if !several {
		return lists
	}
	if len(values) <= maxListed {
		return append(lists, witness.Lists(values)...)
	}
	// Too many to try: any condition may hold for what is not tried.
	for i := range w.atoms {
		if w.atoms[i].form != formNull {
			w.atoms[i].form = formLoose
		}
	}
	return lists
}

// values gives single values that stand for all. Values that a number or a
// date cannot be compared with are among them only where texts are compared, too.
func (w *witnesses) values() []string {
	var texts, numbers []string
	var times []time.Time
	var has [formLoose + 1]bool
	for _, k := range w.atoms {
		has[k.form] = true
		c := w.residual.atoms[k.number].Condition
		switch k.form {
		case formText:
			texts = append(texts, k.texts...)
		case formNumber:
			numbers = append(numbers, c.Numbers()...)
		case formTime:
			times = append(times, c.Times()...)
		case formNull, formLoose:
		}
	}
	switch longest := slices.MaxFunc(append(numbers, ""), func(a, b string) int { return len(a) - len(b) }); {
	case has[formText] || has[formLoose] || has[formNumber] && has[formTime] || len(longest) > maxDigits:
		for i := range w.atoms {
			if f := &w.atoms[i].form; *f == formNumber || *f == formTime {
				*f = formLoose
			}
		}
		return witness.Texts(w.spellings(texts))
	case has[formNumber]:
		return witness.Numbers(numbers)
	case has[formTime]:
		return witness.Times(times)
	}
	return witness.Texts(nil)
}

// spellings adds to texts how they can be written otherwise, where an atom
// does not care.
func (w *witnesses) spellings(texts []string) []string {
	if !slices.ContainsFunc(w.atoms, func(k keyAtom) bool { return k.fold }) {
		return texts
	}
	like := map[string]int{}
	for _, s := range texts {
		like[strings.ToLower(s)]++
	}
	var out []string
	for _, s := range texts {
		for _, way := range witness.Spellings(s, like[strings.ToLower(s)]) {
			out = append(out, way)
			w.others[way] = !slices.Contains(texts, way)
		}
	}
	return out
}

// row compares list with all atoms.
func (w *witnesses) row(list []string) []formula.Term {
	ctx := w.c.Context
	if list == nil {
		ctx.Drop(w.key)
	} else {
		ctx.Set(w.key, list...)
	}
	row := make([]formula.Term, len(w.atoms))
	for i := range w.atoms {
		k := &w.atoms[i]
		row[i] = w.residual.atoms[k.number].truth(w.c)
		if k.form == formLoose && slices.ContainsFunc(list, func(v string) bool { return w.others[v] }) {
			row[i] = formula.Maybe
		}
	}
	return row
}

// name keeps which values make up the cells of a key that is compared with
// texts to the letter only, so that several conditions can be said as one.
func (w *witnesses) name(variable int, lists [][]string, cells []uint64) {
	count := w.residual.simple.space.Cells[variable]
	n := &cellNames{key: w.key, values: make([][]string, count)}
	for _, k := range w.atoms {
		if k.fold || k.set || w.residual.multivalued[w.key] || k.form != formText && k.form != formNull && k.form != formLoose {
			return
		}
	}
	mixed := make([]bool, count)
	for i, in := range cells {
		text := len(lists[i]) == 1 && lists[i][0] != "" && i < len(lists)-1 && bits.OnesCount64(in) == 1
		for cell := range count {
			switch {
			case in>>cell&1 == 0:
			case text:
				n.values[cell] = append(n.values[cell], lists[i][0])
			default:
				mixed[cell] = true
			}
		}
	}
	for cell := range mixed {
		if mixed[cell] {
			n.values[cell] = nil
		} else {
			w.residual.simple.space.Named[variable] |= 1 << cell
		}
	}
	w.residual.simple.names[variable] = n
}
