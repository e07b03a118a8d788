package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Service is one AWS service with the operations it serves. It is built by New
// and Register and not changed once a Kernel has it.
type Service struct {
	// Pages answers plain HTTP requests of the service that are no API calls, as
	// an issuer's discovery document; it reports whether r was one. Nil: none.
	Pages func(w http.ResponseWriter, r *http.Request) bool
	// Targets are further prefixes of X-Amz-Target or host names ("ddb") that
	// mean this service.
	Targets []string

	// Errors rewrites every error of an operation, the kernel's own among them
	// ("ValidationException"), into what the service answers. It may change the
	// error. Nil: as they are.
	Errors func(e *wire.Error) *wire.Error

	name  string
	model *wire.Model
	ops   map[string]*operation
	errs  []error
}

// New returns the service of an embedded model without operations. What is wrong
// with it is reported by [NewKernel].
func New(name string) *Service {
	s := &Service{name: name, ops: map[string]*operation{}}
	model, err := wire.Load(name)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	s.model = model
	return s
}

// Name is the model's name of the service: "iam", "secretsmanager".
func (s *Service) Name() string { return s.name }

// Model is the wire model of the service.
func (s *Service) Model() *wire.Model { return s.model }

// Operations are the names of the operations served, in no order.
func (s *Service) Operations() []string {
	names := make([]string, 0, len(s.ops))
	for name := range s.ops {
		names = append(names, name)
	}
	return names
}

// Op is one operation with the SDK's types as its input and output.
type Op[I, O any] struct {
	// Unsigned operations are called without a signature; Prepare finds out
	// who calls and sets Call.Caller.
	Unsigned bool
	// ReadOnly operations run under the World's read lock, beside each other.
	ReadOnly bool
	// Free operations need no permission, as sts:GetCallerIdentity.
	Free bool
	// Account says whose account an unsigned call is for, so that faults of that
	// account apply; nil for signed operations.
	Account func(in *I) arn.AccountID
	// Prepare runs before the lock is taken and may do I/O within ctx. What it
	// found it leaves in Call.Prepared. It may take the World's read lock itself.
	Prepare func(ctx context.Context, c *Call, in *I) *wire.Error
	// Access names what has to be allowed, every one of it. Nil only for Free
	// operations, and for those whose handler asks by Call.Require itself (Asks).
	Access func(c *Call, in *I) ([]gate.Access, *wire.Error)
	// Asks marks operations that ask the gate from within Handle.
	Asks bool
	// Handle does the work. A nil output means an empty answer.
	Handle func(c *Call, in *I) (*O, *wire.Error)
}

// operation is an Op without its types.
type operation struct {
	wire     *wire.Operation
	unsigned bool
	readOnly bool
	decode   func(r *http.Request, body []byte) (any, *wire.Error)
	account  func(in any) arn.AccountID
	prepare  func(ctx context.Context, c *Call, in any) *wire.Error
	access   func(c *Call, in any) ([]gate.Access, *wire.Error)
	handle   func(c *Call, in any) (any, *wire.Error)
}

// Register adds an operation to s. An operation that the model does not have,
// or one without a handler or an access check, is reported by [NewKernel].
func Register[I, O any](s *Service, name string, op Op[I, O]) {
	if s.model == nil {
		return
	}
	described, ok := s.model.Operation(name)
	var err error
	switch {
	case !ok:
		err = errors.New("the model has no such operation")
	case s.ops[name] != nil:
		err = errors.New("it is registered twice")
	case op.Handle == nil:
		err = errors.New("it has no handler")
	case op.Access == nil && !op.Free && !op.Asks:
		err = errors.New("it neither checks access nor is marked Free or Asks")
	}
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("registering %s.%s: %w", s.name, name, err))
		return
	}
	s.ops[name] = erase(described, op)
}

func erase[I, O any](described *wire.Operation, op Op[I, O]) *operation {
	o := &operation{wire: described, unsigned: op.Unsigned, readOnly: op.ReadOnly}
	o.decode = func(r *http.Request, body []byte) (any, *wire.Error) {
		in := new(I)
		return in, described.Decode(r, body, in)
	}
	o.account = func(in any) arn.AccountID {
		if op.Account == nil {
			return ""
		}
		return op.Account(in.(*I))
	}
	o.prepare = func(ctx context.Context, c *Call, in any) *wire.Error {
		if op.Prepare == nil {
			return nil
		}
		return op.Prepare(ctx, c, in.(*I))
	}
	o.access = func(c *Call, in any) ([]gate.Access, *wire.Error) {
		if op.Access == nil {
			return nil, nil
		}
		return op.Access(c, in.(*I))
	}
	o.handle = func(c *Call, in any) (any, *wire.Error) {
		out, e := op.Handle(c, in.(*I))
		if e != nil {
			return nil, e
		}
		if out == nil {
			out = new(O)
		}
		return out, nil
	}
	return o
}
