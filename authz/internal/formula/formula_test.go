package formula_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/authz/internal/formula"
)

// tree is an expression that is evaluated by definition.
type tree struct {
	op   string // "atom", "not", "and", "or", "true", "false"
	atom int
	args []tree
}

const atoms = 6

func drawTree(t *rapid.T, depth int) tree {
	ops := []string{"atom", "atom", "not", "and", "or", "or", "true", "false"}
	if depth == 0 {
		ops = ops[:2]
	}
	x := tree{op: rapid.SampledFrom(ops).Draw(t, "op")}
	switch x.op {
	case "atom":
		x.atom = rapid.IntRange(0, atoms-1).Draw(t, "atom")
	case "not":
		x.args = []tree{drawTree(t, depth-1)}
	case "and", "or":
		x.args = []tree{drawTree(t, depth-1), drawTree(t, depth-1)}
	}
	return x
}

func (x tree) term(a *formula.Arena) formula.Term {
	switch x.op {
	case "true":
		return formula.Yes
	case "not":
		return a.Not(x.args[0].term(a))
	case "and":
		return a.And(x.args[0].term(a), x.args[1].term(a))
	case "or":
		return a.Or(x.args[0].term(a), x.args[1].term(a))
	case "atom":
		return a.Atom(x.atom)
	}
	return formula.No
}

func (x tree) eval(truth func(int) formula.Term) formula.Term {
	switch x.op {
	case "true":
		return formula.Yes
	case "not":
		return formula.Not(x.args[0].eval(truth))
	case "and":
		return formula.And(x.args[0].eval(truth), x.args[1].eval(truth))
	case "or":
		return formula.Or(x.args[0].eval(truth), x.args[1].eval(truth))
	case "atom":
		return truth(x.atom)
	}
	return formula.No
}

func TestAnExpressionMeansWhatItWasBuiltFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawTree(t, 5)
		var a formula.Arena
		e := a.Expr(x.term(&a))
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		back := new(formula.Expr)
		if err := json.Unmarshal(text, back); err != nil {
			t.Fatalf("parsing %s: %v", text, err)
		}
		if again, _ := json.Marshal(back); string(again) != string(text) {
			t.Errorf("%s became %s", text, again)
		}
		values := rapid.SliceOfN(rapid.SampledFrom([]formula.Term{formula.No, formula.Yes, formula.Maybe}), atoms, atoms).Draw(t, "truths")
		truth := func(i int) formula.Term { return values[i] }
		want := x.eval(truth)
		for name, got := range map[string]formula.Term{
			"Eval": e.Eval(truth), "Eval after JSON": back.Eval(truth), "Eval of Not": formula.Not(e.Not().Eval(truth)),
		} {
			if got != want {
				t.Errorf("%s = %v, want %v (%s)", name, got, want, text)
			}
		}
	})
}

func TestEqualTermsAreOne(t *testing.T) {
	var a formula.Arena
	x, y := a.Atom(0), a.Atom(1)
	both := a.And(x, y)
	if again := a.And(a.Atom(0), a.Atom(1)); again != both || a.Or(x, x) != x || a.Not(a.Not(y)) != y {
		t.Error("equal terms differ")
	}
	if got := a.Expr(a.Or(formula.Maybe, x)).Eval(func(int) formula.Term { return formula.No }); got != formula.Maybe {
		t.Errorf("Maybe or No = %v", got)
	}
}

func TestWhatIsNoExpression(t *testing.T) {
	for _, text := range []string{`{}`, `-1`, `{"not":-2}`, `"x"`, `{"all":[1],"any":[2]}`, `[1]`, `1.5`} {
		if err := json.Unmarshal([]byte(text), new(formula.Expr)); err == nil {
			t.Errorf("parsing %s succeeds", text)
		}
	}
}

// drawSpace makes a space of two variables with several cells, and atoms that
// are independent.
func drawSpace(t *rapid.T) *formula.Space {
	s := formula.NewSpace(atoms)
	for _, group := range [][]int{{0, 1, 2}, {3, 4}} {
		var columns []formula.Column
		for i, atom := range group {
			columns = append(columns, formula.Column{Atom: atom, Group: i})
		}
		row := rapid.SliceOfN(rapid.SampledFrom([]formula.Term{formula.No, formula.Yes, formula.Maybe}), len(group), len(group))
		rows := rapid.SliceOfN(row, 1, 4).Draw(t, "rows")
		if _, _, ok := s.Join(columns, rows); !ok {
			t.Fatal("Join refuses a few rows")
		}
	}
	return s
}

// worlds calls check with every way the variables of a space can be.
func worlds(s *formula.Space, check func(cell []int)) {
	cell := make([]int, atoms)
	used := map[int]bool{}
	for _, p := range s.Atoms {
		used[p.Var] = true
	}
	var from func(v int)
	from = func(v int) {
		switch {
		case v == atoms:
			check(cell)
		case !used[v]:
			from(v + 1)
		default:
			for cell[v] = range s.Cells[v] {
				from(v + 1)
			}
		}
	}
	from(0)
}

func TestASumHoldsWhereItsExpressionDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, x := drawSpace(t), drawTree(t, 5)
		var a formula.Arena
		e := a.Expr(x.term(&a))
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		sum := s.Sum(e, limit)
		if len(sum.Products) > limit {
			t.Errorf("%d products, want %d at most", len(sum.Products), limit)
		}
		holds, fails := 0, 0
		worlds(s, func(cell []int) {
			want := x.eval(func(i int) formula.Term {
				return formula.Of(s.Atoms[i].Holds>>cell[s.Atoms[i].Var]&1 == 1)
			})
			got := false
			for _, p := range sum.Products {
				all := true
				for _, f := range p {
					all = all && f.Cells>>cell[f.Var]&1 == 1
				}
				got = got || all
			}
			if want == formula.Yes {
				holds++
			} else {
				fails++
			}
			if got && want != formula.Yes || sum.Whole && got != (want == formula.Yes) {
				t.Errorf("in %v: sum %v, expression %v", cell, got, want)
			}
		})
		if sum.Whole && (sum.Never() != (holds == 0) || sum.Always() != (fails == 0)) {
			t.Errorf("holds in %d worlds, not in %d: Never %v, Always %v", holds, fails, sum.Never(), sum.Always())
		}
		checkDescriptions(t, s, &sum)
	})
}

// checkDescriptions checks that each factor can be said by atoms.
func checkDescriptions(t *rapid.T, s *formula.Space, sum *formula.Sum) {
	for _, p := range sum.Products {
		for _, f := range p {
			signs, ok := s.Describe(f.Var, f.Cells, 0)
			if !ok {
				t.Errorf("no atoms say that %d is in %b", f.Var, f.Cells)
			}
			cells := s.All(f.Var)
			for _, sign := range signs {
				holds := s.Atoms[sign.Atom].Holds
				if sign.Negated {
					holds = ^holds
				}
				cells &= holds
			}
			if ok && cells != f.Cells {
				t.Errorf("atoms %v are %b, want %b", signs, cells, f.Cells)
			}
		}
	}
}

func TestAVariableOfTooManyCellsIsLeftAlone(t *testing.T) {
	s := formula.NewSpace(7)
	before := *formula.NewSpace(7)
	var columns []formula.Column
	row := make([]formula.Term, 7)
	for i := range 7 {
		columns = append(columns, formula.Column{Atom: i, Group: i})
		row[i] = formula.Maybe
	}
	if _, _, ok := s.Join(columns, [][]formula.Term{row}); ok {
		t.Error("Join of seven free atoms succeeds")
	}
	if !reflect.DeepEqual(s.Cells, before.Cells) || !reflect.DeepEqual(s.Atoms, before.Atoms) {
		t.Error("a refused Join changes the space")
	}
}
