package gate

import (
	"sync"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
)

// maxDenials is how many denials are remembered.
const maxDenials = 256

// Denial is a request that was refused, for people who want to know why.
type Denial struct {
	Time      time.Time      `json:"time"`
	RequestID string         `json:"requestId"`
	Caller    string         `json:"caller"` // ARN, or the provider a token came from
	Account   arn.AccountID  `json:"account"`
	Action    string         `json:"action"`
	Resource  string         `json:"resource"`
	By        string         `json:"by"`
	Message   string         `json:"message"`
	Context   []ContextKey   `json:"context"`
	Decision  authz.Decision `json:"decision"`
}

// ContextKey is one condition key as the request had it.
type ContextKey struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// Denials remembers the latest denials. Safe for concurrent use.
type Denials struct {
	mu   sync.Mutex // guards ring and next
	ring []Denial
	next int
}

func newDenials() *Denials { return &Denials{} }

func newDenial(caller *Caller, req *authz.Request, verdict *Verdict, facts *Facts) Denial {
	d := Denial{
		Time: facts.Now, RequestID: facts.RequestID, Caller: callerName(caller), Account: caller.Account(),
		Action: req.Action, Resource: req.Resource, By: verdict.By, Message: verdict.Message, Decision: verdict.Decision,
	}
	req.Context.All(func(key string, values []string, _ bool) bool {
		d.Context = append(d.Context, ContextKey{key, values})
		return true
	})
	return d
}

func callerName(caller *Caller) string {
	p := &caller.Principal
	switch p.Kind {
	case authz.Anonymous:
		return "anonymous"
	case authz.WebIdentity, authz.SAML:
		return p.Provider.String()
	case authz.Service:
		return p.ServiceName
	}
	return p.ARN.String()
}

func (d *Denials) add(denial Denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ring) < maxDenials {
		d.ring = append(d.ring, denial)
		return
	}
	d.ring[d.next] = denial
	d.next = (d.next + 1) % maxDenials
}

// Recent returns the denials remembered, newest first.
func (d *Denials) Recent() []Denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Denial, 0, len(d.ring))
	for i := range d.ring {
		out = append(out, d.ring[(d.next+len(d.ring)-1-i)%len(d.ring)])
	}
	return out
}
