package formula

import (
	"encoding/json"
	"fmt"
)

// object is the JSON form of what is neither a constant nor a literal.
type object struct {
	All []*Expr `json:"all,omitempty"`
	Any []*Expr `json:"any,omitempty"`
	Not *int    `json:"not,omitempty"`
}

// MarshalJSON writes true, false, null for Unclear, the number of an atom,
// {"not": n}, {"all": […]} or {"any": […]}.
func (e *Expr) MarshalJSON() ([]byte, error) {
	switch e.Op {
	case Never, Always:
		return json.Marshal(e.Op == Always)
	case Unclear:
		return []byte("null"), nil
	case Literal:
		if e.Negated {
			return json.Marshal(object{Not: &e.Atom})
		}
		return json.Marshal(e.Atom)
	case All:
		return json.Marshal(object{All: e.Args})
	case Any:
		return json.Marshal(object{Any: e.Args})
	}
	return nil, fmt.Errorf("writing an expression of kind %d", e.Op)
}

// UnmarshalJSON reads what MarshalJSON wrote. Expressions deeper than any that
// an evaluation makes are refused by encoding/json.
func (e *Expr) UnmarshalJSON(text []byte) error {
	var atom int
	switch string(text) {
	case "false":
		*e = Expr{Op: Never}
		return nil
	case "true":
		*e = Expr{Op: Always}
		return nil
	case "null":
		*e = Expr{Op: Unclear}
		return nil
	}
	if json.Unmarshal(text, &atom) == nil {
		*e = Expr{Op: Literal, Atom: atom}
		return e.check()
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("parsing an expression: %w", err)
	}
	switch {
	case o.Not != nil && o.All == nil && o.Any == nil:
		*e = Expr{Op: Literal, Atom: *o.Not, Negated: true}
	case o.All != nil && o.Any == nil:
		*e = Expr{Op: All, Args: unclear(o.All)}
	case o.Any != nil && o.All == nil:
		*e = Expr{Op: Any, Args: unclear(o.Any)}
	default:
		return fmt.Errorf("parsing an expression: want one of all, any and not")
	}
	return e.check()
}

func (e *Expr) check() error {
	if e.Op == Literal && e.Atom < 0 {
		return fmt.Errorf("parsing an expression: atom %d", e.Atom)
	}
	return nil
}

// unclear puts back the null that encoding/json turns into a nil pointer.
func unclear(args []*Expr) []*Expr {
	for i := range args {
		if args[i] == nil {
			args[i] = &Expr{Op: Unclear}
		}
	}
	return args
}
