package explaincredential

import (
	"cmp"
	"strings"
	"time"
)

func (o *options) show(e *explanation) error {
	if o.json {
		return o.streams.JSON(e)
	}
	p := o.streams.Printf
	p("%s: %s\n", e.Address, e.By)
	p("  source %s (%s)\n", e.Source, e.Kind)
	if e.Account != "" {
		p("  ends in account %s\n", strings.TrimSpace(e.Account+" "+e.AccountName))
	}
	if e.Region != "" {
		p("  Region %s (%s)\n", e.Region, e.RegionFrom)
	}
	p("configured\n")
	for _, c := range e.Config {
		p("  %-40s %s\n", c.What, c.Where)
	}
	for i := range e.Steps {
		o.step(i, &e.Steps[i])
	}
	if e.Person != "" {
		p("first somebody has to: %s\n", e.Person)
	}
	if h := e.Hold; h != nil {
		for _, file := range h.Guards {
			p("guard %s\n", file)
		}
		if h.Later != "" {
			p("note: %s\n", h.Later)
		}
		if h.Question != "" {
			p("somebody has to answer: %s\n", h.Question)
		}
		if h.Limits != "" {
			p("held to %s, by %s\n", h.Limits, h.Why)
		}
		if h.Refusal != "" {
			p("refused here: %s\n", h.Refusal)
		}
	}
	for _, n := range e.Notes {
		p("note: %s\n", n)
	}
	switch e.Outcome {
	case good:
		o.works("works: ", e.Identity, e.Expires)
	case refused:
		p("refused\n")
	default:
		p("not tried\n")
	}
	return nil
}

func (o *options) step(i int, s *step) {
	p := o.streams.Printf
	p("step %d: %s", i+1, s.Call)
	if s.Role != "" {
		p(" %s", s.Role)
	}
	if s.State != "" {
		p(": %s", s.State)
	}
	p("\n")
	for _, d := range s.Details {
		p("  %s\n", d)
	}
	p("  lasts %s", s.Lasts)
	if s.Limit != "" {
		p(" (%s)", s.Limit)
	}
	p("\n")
	if s.Kept != nil {
		p("  kept until %s\n", until(s.Kept))
	}
	if s.Error != "" {
		p("  %s: %s\n", cmp.Or(s.says, byItself), s.Error)
	}
	o.legs(s.Legs)
	if s.Unknown != "" {
		p("  %s\n", s.Unknown)
	}
}

// works says whose credentials there are, and until when.
func (o *options) works(what, identity string, end *time.Time) {
	o.streams.Printf("%s%s", what, identity)
	if end != nil {
		o.streams.Printf(", until %s", until(end))
	}
	o.streams.Printf("\n")
}
