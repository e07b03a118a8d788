package catalog

import (
	"strings"
	"sync"

	"github.com/stile-aws/stile/authz"
)

// Facts is what the evaluator needs to know about AWS's services: its own
// facts with everything the catalog has. Every call returns the same value,
// which must not be changed; it is built by the first.
func Facts() *authz.Facts { return facts() }

var facts = sync.OnceValue(func() *authz.Facts { return buildFacts(data()) })

func buildFacts(x *index) *authz.Facts {
	f := authz.DefaultFacts()
	for _, s := range x.services {
		f.RCPServices[s.prefix] = s.rcp
	}
	for _, k := range x.globals {
		if k.Multivalued {
			f.Multivalued[strings.ToLower(k.Name)] = true
		}
	}
	for _, key := range x.multivalued {
		f.Multivalued[key] = true
	}
	for service, operations := range crossAccount {
		f.CrossAccount[service] = map[string]bool{}
		for _, operation := range operations {
			f.CrossAccount[service][operation] = true
		}
	}
	return f
}
