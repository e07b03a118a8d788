package formula

import (
	"cmp"
	"math/bits"
	"slices"
)

// maxCells is how many cells a variable can have: they are bits of a word.
const maxCells = 64

// A Space says how atoms hang together. Each atom is about one variable, and
// each variable is in one of its cells: what can be the case with it, as far
// as the atoms tell the difference.
type Space struct {
	Cells []int   // of each variable, at most 64
	Atoms []Place // of each atom
	// Named has the cells, by variable, of which the caller can say that the
	// variable is in one or in none of them, beside what atoms say.
	Named map[int]uint64

	about [][]int // atoms by variable
	work  int     // what may still be spent
}

// A Place is an atom's variable and the cells in which it holds.
type Place struct {
	Var   int
	Holds uint64
}

// NewSpace is a space in which atoms are independent of each other; Join
// relates some of them.
func NewSpace(atoms int) *Space {
	s := &Space{Named: map[int]uint64{}, Cells: make([]int, atoms), Atoms: make([]Place, atoms), about: make([][]int, atoms)}
	for i := range atoms {
		s.Cells[i], s.Atoms[i], s.about[i] = 2, Place{Var: i, Holds: 1}, []int{i}
	}
	return s
}

// A Column is an atom in a table of situations. Where the table says Maybe,
// the atom may hold or not, but alike for all that have the same Group: one
// whose Flip is set holds where one whose Flip is not does not.
type Column struct {
	Atom  int
	Group int
	Flip  bool
}

// maxFree is how many groups may be free in one situation.
const maxFree = 6

// Join makes the atoms of columns be about one variable. rows has every
// situation that can be the case, with each column's truth. The result says
// for every row in which cells it can be. ok is false, and the space as before,
// when there would be too many cells.
func (s *Space) Join(columns []Column, rows [][]Term) (cells []uint64, variable int, ok bool) {
	variable = columns[0].Atom
	t := table{columns: columns, cells: map[string]int{}, holds: make([]uint64, len(columns))}
	cells = make([]uint64, len(rows))
	for i, row := range rows {
		if cells[i], ok = t.add(row); !ok {
			return nil, 0, false
		}
	}
	s.Cells[variable], s.about[variable] = len(t.cells), nil
	for i, c := range columns {
		s.Atoms[c.Atom] = Place{Var: variable, Holds: t.holds[i]}
		s.about[variable] = append(s.about[variable], c.Atom)
	}
	return cells, variable, true
}

// table collects the cells of one variable.
type table struct {
	columns []Column
	cells   map[string]int // by the truths of all columns
	holds   []uint64
}

// add makes the cells of one row, one for each way its free groups can be.
func (t *table) add(row []Term) (cells uint64, ok bool) {
	var free []int
	place := map[int]int{}
	for i, truth := range row {
		if g := t.columns[i].Group; truth == Maybe {
			if _, known := place[g]; !known {
				place[g] = len(free)
				free = append(free, g)
			}
		}
	}
	if len(free) > maxFree {
		return 0, false
	}
	for way := range 1 << len(free) {
		truths := make([]byte, len(row))
		for i, truth := range row {
			c := t.columns[i]
			if truth == Maybe {
				truth = Of((way>>place[c.Group]&1 == 1) != c.Flip)
			}
			truths[i] = byte(truth)
		}
		cell, ok := t.cell(truths)
		if !ok {
			return 0, false
		}
		cells |= 1 << cell
	}
	return cells, true
}

func (t *table) cell(truths []byte) (int, bool) {
	if cell, known := t.cells[string(truths)]; known {
		return cell, true
	}
	cell := len(t.cells)
	if cell == maxCells {
		return 0, false
	}
	t.cells[string(truths)] = cell
	for i, truth := range truths {
		if truth == byte(Yes) {
			t.holds[i] |= 1 << cell
		}
	}
	return cell, true
}

// All is every cell of a variable.
func (s *Space) All(variable int) uint64 { return ^uint64(0) >> (maxCells - s.Cells[variable]) }

// A Sign is an atom that must hold, or must not.
type Sign struct {
	Atom    int
	Negated bool
}

// Describe gives atoms that hold together in the given cells and no others,
// except some of those in except; as few as it finds. ok is false when atoms
// cannot say it without an "or".
func (s *Space) Describe(variable int, cells, except uint64) (signs []Sign, ok bool) {
	all := s.All(variable)
	rest := all &^ (cells | except) // still to be ruled out
	for rest != 0 {
		best, gain := Sign{Atom: -1}, 0
		for _, atom := range s.about[variable] {
			for _, negated := range []bool{false, true} {
				holds := s.Atoms[atom].Holds
				if negated {
					holds = all &^ holds
				}
				if cells&^holds == 0 && bits.OnesCount64(rest&^holds) > gain {
					best, gain = Sign{atom, negated}, bits.OnesCount64(rest&^holds)
				}
			}
		}
		if best.Atom < 0 {
			return nil, false
		}
		signs = append(signs, best)
		if best.Negated {
			rest &^= s.Atoms[best.Atom].Holds
		} else {
			rest &= s.Atoms[best.Atom].Holds
		}
	}
	slices.SortFunc(signs, func(a, b Sign) int { return cmp.Compare(a.Atom, b.Atom) })
	return signs, true
}

// describable reports whether cells of a variable can be said without an "or".
func (s *Space) describable(variable int, cells uint64) bool {
	named := s.Named[variable]
	if cells&^named == 0 {
		return true
	}
	_, ok := s.Describe(variable, cells, named&^cells)
	return ok
}
