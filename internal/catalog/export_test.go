package catalog

import "github.com/stile-aws/stile/authz"

// Cold does what the first question about one action, or about all, costs in a
// new process: for benchmarks.
func Cold(prefixes ...string) int {
	x := unpack()
	n := 0
	if len(prefixes) == 0 {
		for _, s := range x.services {
			n += len(s.open().actions)
		}
	}
	for _, p := range prefixes {
		n += len(x.service(p).open().actions)
	}
	return n
}

// ColdIndex unpacks everything and returns what holds it in memory.
func ColdIndex() any {
	x := unpack()
	for _, s := range x.services {
		s.open()
	}
	return x
}

// ColdFacts is what the first call of Facts costs in a new process.
func ColdFacts() *authz.Facts { return buildFacts(unpack()) }
