package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/sigv4"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// DeniedBy is the response header that names who refused a request: layer,
// account, document, statement. The body is AWS's own.
const DeniedBy = "X-Stile-Denied-By"

// maxBody bounds request bodies: DynamoDB's BatchWriteItem, the largest, takes 16 MB.
const maxBody = 17 << 20

// Config is what a Kernel is made of.
type Config struct {
	World    *store.World
	Gate     *gate.Gate
	Services []*Service
	// Faults are consulted for every call; nil means none.
	Faults *Faults
	// Intercept may abort calls; nil lets all pass.
	Intercept Intercept
	// Logger hears of calls (debug) and of handlers that panic (error); nil is silent.
	Logger *slog.Logger
}

// Kernel routes requests to services and runs their operations.
type Kernel struct {
	world     *store.World
	gate      *gate.Gate
	router    *router
	faults    *Faults
	intercept Intercept
	logger    *slog.Logger
	keys      *sigv4.Keys
}

// NewKernel makes a kernel. The error joins what is wrong with the services'
// registrations.
func NewKernel(cfg Config) (*Kernel, error) {
	var errs []error
	for _, s := range cfg.Services {
		errs = append(errs, s.errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	k := &Kernel{
		world: cfg.World, gate: cfg.Gate, router: newRouter(cfg.Services),
		faults: cfg.Faults, intercept: cfg.Intercept, logger: cfg.Logger, keys: sigv4.NewKeys(0),
	}
	if k.faults == nil {
		k.faults = &Faults{}
	}
	if k.intercept == nil {
		k.intercept = func(string, string, arn.AccountID, Phase) Action { return Proceed }
	}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	return k, nil
}

// ServeHTTP answers one AWS request.
func (k *Kernel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, s := range k.router.services {
		if s.Pages != nil && s.Pages(w, r) {
			return
		}
	}
	requestID := newRequestID()
	body, e := wire.ReadBody(r, maxBody)
	route, routeErr := k.router.route(r, body)
	if e == nil {
		e = routeErr
	}
	if e != nil {
		k.refuse(w, route, requestID, e)
		return
	}
	c := k.newCall(r, route, requestID)
	out, e := k.run(r, body, route, c)
	k.answer(w, route, c, out, e)
}

func (k *Kernel) newCall(r *http.Request, route route, requestID string) *Call {
	now := k.world.Now()
	region := route.region
	return &Call{
		World: k.world, Region: region, Now: now, RequestID: requestID, Endpoint: endpoint(r), ByHost: route.host != "", Header: r.Header,
		service: route.service, gate: k.gate,
		facts: gate.Facts{
			Now: now, Region: region, SourceIP: sourceIP(r), UserAgent: r.UserAgent(),
			TLS: r.TLS != nil, RequestID: requestID,
		},
	}
}

// run takes a call up to its answer. A drop or an outage ends in the panic that
// makes net/http close the connection.
func (k *Kernel) run(r *http.Request, body []byte, route route, c *Call) (*reply, *wire.Error) {
	op := route.service.ops[route.op.Name]
	if op == nil || !op.unsigned {
		if e := k.authenticate(r, body, route, c); e != nil {
			return nil, e
		}
	}
	if op == nil {
		return nil, unimplemented(route)
	}
	in, e := op.decode(r, body)
	if e != nil {
		return nil, e
	}
	if op.unsigned {
		c.Account = op.account(in)
	}
	hit, e := k.before(r.Context(), route, c)
	if e != nil {
		return nil, e
	}
	if e := op.wire.Validate(in); e != nil {
		return nil, e
	}
	if e := op.prepare(r.Context(), c, in); e != nil {
		return nil, e
	}
	out, e := k.invoke(op, c, in)
	if after := k.after(route, c, hit); after != nil {
		return nil, after
	}
	return out, e
}

// invoke runs access check and handler under the World's lock, and encodes the
// answer there.
func (k *Kernel) invoke(op *operation, c *Call, in any) (out *reply, e *wire.Error) {
	if op.readOnly {
		k.world.RLock()
		defer k.world.RUnlock()
	} else {
		k.world.Lock()
		defer k.world.Unlock()
	}
	defer func() {
		if p := recover(); p != nil {
			k.logger.Error("handling call", "service", c.service.name, "operation", op.wire.Name, "panic", p, "stack", string(debug.Stack()))
			out, e = nil, ServerError.answer(c.service.model)
		}
	}()
	accesses, e := op.access(c, in)
	if e != nil {
		return nil, e
	}
	for i := range accesses {
		if e := c.Require(accesses[i]); e != nil {
			return nil, e
		}
	}
	answer, e := op.handle(c, in)
	if e != nil {
		return nil, e
	}
	out = &reply{header: http.Header{}}
	if err := op.wire.Encode(out, c.RequestID, answer); err != nil {
		k.logger.Error("encoding answer", "service", c.service.name, "operation", op.wire.Name, "err", err)
		return nil, ServerError.answer(c.service.model)
	}
	return out, nil
}

// before applies interception and faults to a call that has not taken effect.
// It returns the faults that wait for the effect.
func (k *Kernel) before(ctx context.Context, route route, c *Call) ([]Fault, *wire.Error) {
	if e := k.act(k.intercept(route.service.name, route.op.Name, c.Account, Before), c); e != nil {
		return nil, e
	}
	var later []Fault
	for _, fault := range k.faults.trip(c.Now, route.service.name, route.op.Name, c.Account) {
		if fault.After {
			later = append(later, fault)
			continue
		}
		if e := applyFault(ctx, fault, c); e != nil {
			return nil, e
		}
	}
	return later, nil
}

func (k *Kernel) after(route route, c *Call, hit []Fault) *wire.Error {
	if e := k.act(k.intercept(route.service.name, route.op.Name, c.Account, After), c); e != nil {
		return e
	}
	for _, fault := range hit {
		if e := applyFault(context.Background(), fault, c); e != nil {
			return e
		}
	}
	return nil
}

func (k *Kernel) act(action Action, c *Call) *wire.Error {
	switch action {
	case Proceed:
	case Drop:
		panic(http.ErrAbortHandler)
	case Fail:
		return ServerError.answer(c.service.model)
	case Slow:
		return Throttle.answer(c.service.model)
	}
	return nil
}

// applyFault does what the fault says; an outage panics as net/http wants it.
func applyFault(ctx context.Context, fault Fault, c *Call) *wire.Error {
	switch fault.Kind {
	case Outage:
		panic(http.ErrAbortHandler)
	case Latency:
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	case Throttle, ServerError, Unavailable:
	}
	return fault.Kind.answer(c.service.model)
}

func (k *Kernel) answer(w http.ResponseWriter, route route, c *Call, out *reply, e *wire.Error) {
	if e != nil {
		if c.denied != "" {
			w.Header().Set(DeniedBy, headerText(c.denied))
		}
		if route.service.Errors != nil {
			e = route.service.Errors(e)
		}
		k.logger.Debug("call refused", "service", route.service.name, "operation", route.op.Name, "account", c.Account, "code", e.Code)
		route.service.model.EncodeError(w, c.RequestID, e)
		return
	}
	k.logger.Debug("call", "service", route.service.name, "operation", route.op.Name, "account", c.Account)
	out.send(w)
}

// unimplemented says that AWS has the operation and we do not. 501 is not
// retried by SDKs.
func unimplemented(route route) *wire.Error {
	e := route.service.model.NewError("NotImplemented", "stile's local AWS does not implement %s:%s", route.service.name, route.op.Name)
	e.Status = http.StatusNotImplemented
	return e
}

// headerText keeps a header on one line of printable ASCII.
func headerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// endpoint is the base URL of a request.
func endpoint(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func sourceIP(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

// newRequestID is a UUID; it has nothing to do with a seed.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
