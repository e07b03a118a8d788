package service

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Call is one API call on its way through the kernel.
type Call struct {
	// World is locked during Access and Handle, not during Prepare.
	World *store.World
	// Caller is who calls. For unsigned operations Prepare sets it.
	Caller gate.Caller
	// Account is the account the call is made in: the caller's. For unsigned
	// operations it is what the operation's Account function says.
	Account arn.AccountID
	Region  string
	// Now is the World's time; one call has one time.
	Now       time.Time
	RequestID string
	// Endpoint is the base URL that the client called: "http://127.0.0.1:7171",
	// "https://oidc.us-east-1.amazonaws.com".
	Endpoint string
	// ByHost says that the host name is one of AWS's, so that Region is what the
	// client asked for even where nothing was signed.
	ByHost bool
	// Header is the request's, for what the models do not have. It is not to be
	// changed.
	Header http.Header
	// Prepared is what Prepare left for Access and Handle.
	Prepared any

	service *Service
	gate    *gate.Gate
	facts   gate.Facts
	denied  string // who said no, for the response header
}

// Own is the record of the call's account. The World is locked.
func (c *Call) Own() *store.Account { return c.World.Accounts[c.Account] }

// SourceIP is where the request came from; invalid for in-process requests.
func (c *Call) SourceIP() netip.Addr { return c.facts.SourceIP }

// Errorf returns an error of the service: code is the name of a modelled error
// (or its wire code), or one of AWS's common codes.
func (c *Call) Errorf(code, format string, args ...any) *wire.Error {
	return c.service.model.NewError(code, format, args...)
}

// Policy compiles a stored policy document for an Access.
func (c *Call) Policy(text string, src authz.Source) (*authz.Policy, *wire.Error) {
	if text == "" {
		return nil, nil
	}
	p, err := c.gate.Compile(text, src)
	if err != nil {
		return nil, c.Errorf("InternalFailure", "a stored policy cannot be read: %v", err)
	}
	return p, nil
}

// Require asks the gate about one access, for handlers that find out on the
// way what they need. It returns the service's denial, or nil. The World is locked.
func (c *Call) Require(access gate.Access) *wire.Error {
	return c.RequireAs(c.Caller, access)
}

// RequireAs is Require for another caller than the call's own, as a service
// principal or the bearer of a token.
func (c *Call) RequireAs(caller gate.Caller, access gate.Access) *wire.Error {
	verdict := c.Check(caller, access)
	if verdict.Allowed {
		return nil
	}
	return c.Denied(verdict)
}

// Check asks the gate and leaves it to the handler what to answer.
func (c *Call) Check(caller gate.Caller, access gate.Access) gate.Verdict {
	return c.gate.Check(&caller, &access, &c.facts)
}

// Denied is the service's error for a verdict that does not allow.
func (c *Call) Denied(verdict gate.Verdict) *wire.Error {
	c.Blame(verdict)
	e := c.Errorf(deniedCode(c.service.model.Protocol), "%s", verdict.Message)
	e.Cause = verdict.By
	return e
}

// Blame makes the answer's header say who refused, for handlers that answer a
// denial with an error of their own.
func (c *Call) Blame(verdict gate.Verdict) { c.denied = verdict.By }

// deniedCode is what the protocols call a denial.
func deniedCode(p wire.Protocol) string {
	switch p {
	case wire.JSON, wire.RestJSON:
		return "AccessDeniedException"
	case wire.Query, wire.RestXML:
	}
	return "AccessDenied"
}

// ManagedDocument is the visible default version of a managed policy that
// account can attach: its own or AWS's.
func (c *Call) ManagedDocument(account arn.AccountID, ref string) (string, bool) {
	return c.gate.ManagedDocument(account, ref)
}
