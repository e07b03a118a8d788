package formula

import (
	"cmp"
	"slices"
)

// A Factor says that a variable is in one of some cells.
type Factor struct {
	Var   int
	Cells uint64
}

// A Product is factors that hold together, at most one a variable, in the
// order of variables. The empty product always holds.
type Product []Factor

// A Sum is products of which one at least must hold.
type Sum struct {
	Products []Product
	// Whole is set when nothing was left out. Otherwise each product is enough
	// by itself, but there may be more of them.
	Whole bool
}

// Never reports that no product can hold.
func (s *Sum) Never() bool { return s.Whole && len(s.Products) == 0 }

// Always reports that one always holds.
func (s *Sum) Always() bool { return len(s.Products) == 1 && len(s.Products[0]) == 0 }

// The bounds of Sum: how many factors may be copied in all, and how many steps
// one question whether products cover another may take.
const (
	maxWork  = 1 << 20
	maxSteps = 1 << 10
)

// Sum brings e into a sum of at most limit products: no factor of one and no
// product could be left out, as far as bounded work finds. A sum of which
// nothing was cut is Never exactly when no cells of the variables make e hold;
// it is found to be Always when they all do and the products are few.
func (s *Space) Sum(e *Expr, limit int) Sum {
	s.work = maxWork
	sum := s.sum(e, limit)
	if sum.Whole || len(sum.Products) > 0 {
		sum.Products = s.prime(sum.Products)
	}
	return sum
}

func (s *Space) sum(e *Expr, limit int) Sum {
	switch e.Op {
	case Never:
		return Sum{Whole: true}
	case Always:
		return Sum{Products: []Product{{}}, Whole: true}
	case Unclear:
		return Sum{}
	case Literal:
		return s.literal(e)
	case All:
		return s.product(e, limit)
	case Any:
		return s.either(e, limit)
	}
	return Sum{}
}

func (s *Space) literal(e *Expr) Sum {
	f := s.factor(e)
	switch f.Cells {
	case 0:
		return Sum{Whole: true}
	case s.All(f.Var):
		return Sum{Products: []Product{{}}, Whole: true}
	}
	return Sum{Products: []Product{{f}}, Whole: true}
}

func (s *Space) factor(e *Expr) Factor {
	p := s.Atoms[e.Atom]
	if e.Negated {
		p.Holds = s.All(p.Var) &^ p.Holds
	}
	return Factor{Var: p.Var, Cells: p.Holds}
}

// either joins the sums of e's parts. It goes through all of them even when it
// has too many products already: one of the parts may always hold.
func (s *Space) either(e *Expr, limit int) Sum {
	out := Sum{Whole: true}
	for _, arg := range e.Args {
		if s.work <= 0 {
			out.Whole = false
			break
		}
		sum := s.sum(arg, limit)
		if sum.Always() {
			return sum
		}
		out.Whole = out.Whole && sum.Whole
		s.spend(sum.Products)
		out.Products = append(out.Products, sum.Products...)
		if len(out.Products) > 2*limit {
			out = s.cut(out, limit)
		}
	}
	return s.cut(out, limit)
}

// product multiplies the sums of e's parts, those of one factor first.
func (s *Space) product(e *Expr, limit int) Sum {
	one, many, possible := s.common(e)
	if !possible {
		return Sum{Whole: true}
	}
	out := Sum{Products: []Product{one}, Whole: true}
	for _, arg := range many {
		sum := s.sum(arg, limit)
		if sum.Never() {
			return sum
		}
		out = s.multiply(&out, &sum, limit)
		if len(out.Products) == 0 {
			break
		}
	}
	return out
}

// common is the product of e's literals, and the other parts. possible is
// false when the literals exclude each other.
func (s *Space) common(e *Expr) (one Product, many []*Expr, possible bool) {
	cells := map[int]uint64{}
	for _, arg := range e.Args {
		if arg.Op != Literal {
			many = append(many, arg)
			continue
		}
		f := s.factor(arg)
		known, seen := cells[f.Var]
		if !seen {
			known = s.All(f.Var)
		}
		if cells[f.Var] = known & f.Cells; cells[f.Var] == 0 {
			return nil, nil, false
		}
	}
	for variable, c := range cells {
		if c != s.All(variable) {
			one = append(one, Factor{variable, c})
		}
	}
	slices.SortFunc(one, func(a, b Factor) int { return cmp.Compare(a.Var, b.Var) })
	return one, many, true
}

// multiply is the products that are in both sums.
func (s *Space) multiply(a, b *Sum, limit int) Sum {
	out := Sum{Whole: a.Whole && b.Whole}
	for _, p := range a.Products {
		for _, q := range b.Products {
			if s.work <= 0 {
				return Sum{} // what is left out could be needed by all
			}
			if both, ok := intersect(p, q); ok {
				s.work -= len(both) + 1
				out.Products = append(out.Products, both)
			}
		}
		if len(out.Products) > 2*limit {
			out = s.cut(out, limit)
		}
	}
	return s.cut(out, limit)
}

func (s *Space) spend(products []Product) {
	for _, p := range products {
		s.work -= len(p) + 1
	}
}

// cut simplifies a sum, and leaves out what is past the limit.
func (s *Space) cut(sum Sum, limit int) Sum {
	sum.Products = s.simplify(sum.Products)
	if len(sum.Products) > limit {
		return Sum{Products: sum.Products[:limit:limit]}
	}
	return sum
}

// simplify leaves out products within others, and makes one of two that
// differ in one factor.
func (s *Space) simplify(products []Product) []Product {
	for changed := true; changed && s.work > 0; {
		changed = false
		var out []Product
		for _, p := range products {
			var merged bool
			if out, merged = s.add(out, p); merged {
				changed = true
			}
		}
		products = out
	}
	return products
}

// add adds p to products none of which is within another.
func (s *Space) add(products []Product, p Product) (out []Product, merged bool) {
	for i, q := range products {
		s.work -= 2 + min(len(p), len(q))/8
		if within(p, q) {
			return products, false
		}
		if union, ok := s.merge(q, p); ok {
			products[i] = union
			return products, true
		}
	}
	products = slices.DeleteFunc(products, func(q Product) bool { return within(q, p) })
	return append(products, p), false
}

// merge is the product that holds where a or b does, if they differ in one
// factor only and the union of that can be said.
func (s *Space) merge(a, b Product) (Product, bool) {
	if len(a) != len(b) {
		return nil, false
	}
	at := -1
	for i := range a {
		switch {
		case a[i] == b[i]:
		case a[i].Var != b[i].Var || at >= 0:
			return nil, false
		default:
			at = i
		}
	}
	if at < 0 {
		return a, true
	}
	union := a[at].Cells | b[at].Cells
	switch {
	case union == s.All(a[at].Var):
		return slices.Delete(slices.Clone(a), at, at+1), true
	case s.describable(a[at].Var, union):
		out := slices.Clone(a)
		out[at].Cells = union
		return out, true
	}
	return nil, false
}

// prime leaves out factors and whole products that the others make needless.
func (s *Space) prime(products []Product) []Product {
	products = slices.Clone(products)
	for i := range products {
		for f := 0; f < len(products[i]) && s.work > 0; {
			p := products[i]
			rest := slices.Clone(p)
			rest[f].Cells = s.All(p[f].Var) &^ p[f].Cells
			if s.covered(rest, products) {
				products[i] = slices.Delete(slices.Clone(p), f, f+1)
			} else {
				f++
			}
		}
	}
	for i := len(products) - 1; i >= 0 && s.work > 0; i-- {
		others := slices.Concat(products[:i], products[i+1:])
		if s.covered(products[i], others) {
			products = others
		}
	}
	return s.simplify(products)
}

// covered reports whether one of products holds wherever p does, and false
// when that takes too long to find out.
func (s *Space) covered(p Product, products []Product) bool {
	steps := maxSteps
	return s.coveredFrom(p, products, &steps)
}

func (s *Space) coveredFrom(p Product, products []Product, steps *int) bool {
	for i, q := range products {
		*steps--
		s.work -= len(p) + len(q) + 1
		if *steps < 0 || s.work < 0 {
			return false
		}
		if _, ok := intersect(p, q); !ok {
			continue
		}
		for _, f := range q {
			s.work -= len(p)
			inside, outside := s.split(p, f)
			if outside != nil && !s.coveredFrom(outside, products[i+1:], steps) {
				return false
			}
			p = inside
		}
		return true
	}
	return false
}

// split parts p by f, which has cells in common with it; outside is nil when
// there is none.
func (s *Space) split(p Product, f Factor) (inside, outside Product) {
	i, found := slices.BinarySearchFunc(p, f, func(a, b Factor) int { return cmp.Compare(a.Var, b.Var) })
	inside = slices.Clone(p)
	if !found {
		inside = slices.Insert(inside, i, Factor{f.Var, s.All(f.Var)})
	}
	if inside[i].Cells&^f.Cells == 0 {
		return inside, nil
	}
	outside = slices.Clone(inside)
	outside[i].Cells &^= f.Cells
	inside[i].Cells &= f.Cells
	return inside, outside
}

// intersect is the product of both; ok is false when they exclude each other.
func intersect(a, b Product) (out Product, ok bool) {
	out = make(Product, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Var < b[0].Var:
			out, a = append(out, a[0]), a[1:]
		case a[0].Var > b[0].Var:
			out, b = append(out, b[0]), b[1:]
		case a[0].Cells&b[0].Cells == 0:
			return nil, false
		default:
			out = append(out, Factor{a[0].Var, a[0].Cells & b[0].Cells})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...), true
}

// within reports whether b holds wherever a does.
func within(a, b Product) bool {
	for _, f := range b {
		for len(a) > 0 && a[0].Var < f.Var {
			a = a[1:]
		}
		if len(a) == 0 || a[0].Var != f.Var || a[0].Cells&^f.Cells != 0 {
			return false
		}
	}
	return true
}
