package service

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of faults.
const (
	Throttle    FaultKind = "throttle"    // the service's throttling error
	ServerError FaultKind = "error"       // 500 with the service's internal error
	Unavailable FaultKind = "unavailable" // 503
	Outage      FaultKind = "outage"      // the connection is closed without an answer
	Latency     FaultKind = "latency"     // the answer comes Delay later
)

// Fault makes matching calls go wrong.
type Fault struct {
	// ID is set by Faults.Add.
	ID string `json:"id"`
	// Account, Service ("sts") and Operation ("AssumeRole") select calls; "" selects all.
	Account   arn.AccountID `json:"account,omitempty"`
	Service   string        `json:"service,omitempty"`
	Operation string        `json:"operation,omitempty"`
	Kind      FaultKind     `json:"kind"`
	// Delay is how long a Latency fault takes.
	Delay time.Duration `json:"delay,omitempty"`
	// Times is how many calls go wrong; 0 means all until the fault is removed.
	Times int `json:"times,omitempty"`
	// Probability is the part of matching calls that go wrong; 0 means all.
	Probability float64 `json:"probability,omitempty"`
	// For ends the fault that long after it was added; 0 means never.
	For time.Duration `json:"for,omitempty"`
	// After lets the call take effect before it goes wrong: the client does not
	// learn of its success.
	After bool `json:"after,omitempty"`
}

// Faults are the faults that are on. The zero value has none; safe for
// concurrent use.
type Faults struct {
	mu    sync.Mutex // guards all
	on    []*activeFault
	hits  map[string]int
	added int
	rand  *rand.Rand
}

type activeFault struct {
	Fault
	left  int       // calls, when Times is set
	until time.Time // when For is set
}

// Add switches a fault on, at the local AWS's time now, and returns its id.
func (f *Faults) Add(now time.Time, fault Fault) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added++
	fault.ID = "fault-" + strconv.Itoa(f.added)
	active := &activeFault{Fault: fault, left: fault.Times}
	if fault.For > 0 {
		active.until = now.Add(fault.For)
	}
	f.on = append(f.on, active)
	return fault.ID
}

// Remove switches a fault off and reports whether it was on.
func (f *Faults) Remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.on)
	f.on = slices.DeleteFunc(f.on, func(a *activeFault) bool { return a.ID == id })
	return len(f.on) < before
}

// Hits is how many calls a fault has hit, which may be off by now.
func (f *Faults) Hits(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[id]
}

// Clear switches all faults off.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = nil
}

// List returns the faults that are on.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Fault, 0, len(f.on))
	for _, a := range f.on {
		out = append(out, a.Fault)
	}
	return out
}

// trip counts one call against the faults and returns those that hit it.
func (f *Faults) trip(now time.Time, service, operation string, account arn.AccountID) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.on) == 0 {
		return nil
	}
	var hit []Fault
	f.on = slices.DeleteFunc(f.on, func(a *activeFault) bool {
		if !a.until.IsZero() && !now.Before(a.until) {
			return true
		}
		if !a.matches(service, operation, account) || !f.draw(a.Probability) {
			return false
		}
		hit = append(hit, a.Fault)
		if f.hits == nil {
			f.hits = map[string]int{}
		}
		f.hits[a.ID]++
		a.left--
		return a.Times > 0 && a.left == 0
	})
	return hit
}

func (a *activeFault) matches(service, operation string, account arn.AccountID) bool {
	return (a.Service == "" || a.Service == service) &&
		(a.Operation == "" || a.Operation == operation) &&
		(a.Account == "" || a.Account == account)
}

// draw decides by probability; the sequence is the same in every run.
func (f *Faults) draw(probability float64) bool {
	if probability <= 0 || probability >= 1 {
		return true
	}
	if f.rand == nil {
		f.rand = rand.New(rand.NewPCG(1, 2))
	}
	return f.rand.Float64() < probability
}

// throttled is the error of a service that is called too often.
func throttled(m *wire.Model) *wire.Error {
	switch {
	case m.Service == "organizations":
		return m.NewError("TooManyRequestsException", "AWS Organizations can't complete your request because another request is already in progress. Try again later.")
	case m.Protocol == wire.RestJSON:
		return m.NewError("TooManyRequestsException", "Too Many Requests")
	case m.Protocol == wire.JSON:
		return m.NewError("ThrottlingException", "Rate exceeded")
	}
	return m.NewError("Throttling", "Rate exceeded")
}

func (k FaultKind) answer(m *wire.Model) *wire.Error {
	switch k {
	case Throttle:
		return throttled(m)
	case ServerError:
		e := m.NewError("InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
		e.Status = 500
		return e
	case Unavailable:
		e := m.NewError("ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
		e.Status = 503
		return e
	case Outage, Latency:
	}
	return nil
}

// Phase is when a call is intercepted.
type Phase uint8

// The phases.
const (
	Before Phase = iota // the call has not taken effect
	After               // it has, and the client does not know yet
)

// Action is what an interceptor does to a call.
type Action uint8

// The actions.
const (
	Proceed Action = iota
	Drop           // close the connection without an answer
	Fail           // answer 500
	Slow           // answer the service's throttling error
)

// Intercept sees every call of a registered operation by an authenticated
// caller twice and may abort it. It is called without locks, from many goroutines.
type Intercept func(service, operation string, account arn.AccountID, phase Phase) Action
