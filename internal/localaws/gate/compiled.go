package gate

import (
	"sync"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// maxCompiled bounds the compiled policies remembered; when it is reached all
// are forgotten and compiled again as they are asked for.
const maxCompiled = 16384

// compiled remembers compiled policies by text and source.
type compiled struct {
	mu       sync.RWMutex // guards policies
	policies map[compiledKey]*authz.Policy
}

type compiledKey struct {
	text string
	src  authz.Source
}

func newCompiled() *compiled { return &compiled{policies: map[compiledKey]*authz.Policy{}} }

func (c *compiled) get(text string, src authz.Source) (*authz.Policy, error) {
	key := compiledKey{text, src}
	c.mu.RLock()
	p := c.policies[key]
	c.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	p, err = authz.Compile(doc, src)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.policies) >= maxCompiled {
		clear(c.policies)
	}
	c.policies[key] = p
	return p, nil
}
