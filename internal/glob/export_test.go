package glob

// Steps is what Match costs.
func Steps(text, s string) (matched bool, steps int) {
	m := matcher{run: AnyRun, one: AnyChar}
	matched = m.match(text, s)
	return matched, m.steps
}
