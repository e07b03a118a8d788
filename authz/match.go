package authz

// and is the conjunction of three-valued truths.
func and(a, b Match) Match {
	switch {
	case a == No || b == No:
		return No
	case a == Maybe || b == Maybe:
		return Maybe
	}
	return Yes
}

// or is their disjunction.
func or(a, b Match) Match {
	switch {
	case a == Yes || b == Yes:
		return Yes
	case a == Maybe || b == Maybe:
		return Maybe
	}
	return No
}

// not is the negation; what is not known stays so.
func not(a Match) Match {
	switch a {
	case No:
		return Yes
	case Yes:
		return No
	}
	return Maybe
}

func truth(b bool) Match {
	if b {
		return Yes
	}
	return No
}
