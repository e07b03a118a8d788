package service

import (
	"errors"
	"net/http"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/sigv4"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// authenticate verifies the signature and finds out who it belongs to.
func (k *Kernel) authenticate(r *http.Request, body []byte, route route, c *Call) *wire.Error {
	var caller *gate.Caller
	lookup := func(id string) (sigv4.Credential, bool) {
		var credential sigv4.Credential
		credential, caller = k.lookup(id, route.scope.SessionToken)
		return credential, caller != nil
	}
	err := k.verify(r, body, lookup, c.Now, route.host)
	if failure, ok := errors.AsType[*sigv4.Failure](err); ok {
		return unauthenticated(route.service.model, failure)
	}
	if err != nil || caller == nil {
		return unauthenticated(route.service.model, unknownKey())
	}
	if route.service.name == "iam" && barredFromIAM(caller.Session) {
		return unauthenticated(route.service.model, unknownKey())
	}
	c.Caller, c.Account = *caller, caller.Account()
	if caller.Session == nil {
		k.world.Use(caller.AccessKey, store.LastUse{At: c.Now, Region: c.Region, Service: route.service.name})
	}
	return nil
}

// verify checks the signature at the local AWS's time now. Clients sign by the
// computer's clock: where ours was moved ahead, a signature of that time is as
// good, but a session still ends by ours.
func (k *Kernel) verify(r *http.Request, body []byte, lookup sigv4.Lookup, now time.Time, service string) error {
	opt := sigv4.Options{Service: service, Keys: k.keys}
	_, err := sigv4.Verify(r, body, lookup, now, opt)
	ahead := k.world.Ahead()
	failure, ok := errors.AsType[*sigv4.Failure](err)
	if !ok || ahead == 0 || failure.Kind != sigv4.Skewed && failure.Kind != sigv4.ExpiredPresign {
		return err
	}
	endsByOurs := func(id string) (sigv4.Credential, bool) {
		credential, ok := lookup(id)
		if !credential.Expires.IsZero() {
			credential.Expires = credential.Expires.Add(-ahead)
		}
		return credential, ok
	}
	_, err = sigv4.Verify(r, body, endsByOurs, now.Add(-ahead), opt)
	return err
}

// barredFromIAM reports a session that no IAM operation takes. GetSessionToken:
// "You cannot call any IAM API operations unless MFA authentication information
// is included in the request"; GetFederationToken: "You cannot call any IAM
// operations using the AWS CLI or the AWS API."
func barredFromIAM(s *store.Session) bool {
	switch {
	case s == nil:
		return false
	case s.Kind == store.Federated:
		return true
	}
	return s.Kind == store.UserSession && !s.MFA
}

func unknownKey() *sigv4.Failure {
	return &sigv4.Failure{Kind: sigv4.UnknownKey, Message: "The security token included in the request is invalid."}
}

func unauthenticated(m *wire.Model, failure *sigv4.Failure) *wire.Error {
	family := sigv4.Query
	switch m.Protocol {
	case wire.JSON:
		family = sigv4.JSON
	case wire.RestJSON:
		family = sigv4.RESTJSON
	case wire.Query, wire.RestXML:
	}
	code, status, message := failure.Response(family)
	return &wire.Error{Code: code, Status: status, Message: message, Fault: wire.Sender, Cause: failure}
}

// lookup finds an access key and who holds it; the caller is nil when the key is
// unknown, or its user or role is gone or cannot be seen yet.
func (k *Kernel) lookup(id, token string) (sigv4.Credential, *gate.Caller) {
	k.world.RLock()
	defer k.world.RUnlock()
	if token != "" {
		if s := k.world.Open(id, token); s != nil {
			return sigv4.Credential{SecretAccessKey: s.Secret, SessionToken: token, Expires: s.Expires}, SessionCaller(k.world, s)
		}
	}
	account, ok := store.AccountOfKey(id)
	if !ok {
		return sigv4.Credential{}, nil
	}
	seen := k.world.Horizon(account)
	key := k.world.AccessKeys[id].At(seen)
	if key == nil {
		return sigv4.Credential{}, nil
	}
	credential := sigv4.Credential{SecretAccessKey: key.Secret, Inactive: !key.Active}
	return credential, userCaller(k.world, key, seen)
}

func userCaller(w *store.World, key *store.AccessKey, seen time.Time) *gate.Caller {
	user, account := w.UserByID(key.User, seen)
	if user == nil {
		return nil
	}
	return &gate.Caller{
		AccessKey: key.ID,
		Principal: authz.Principal{Kind: authz.User, ARN: user.UserARN(account), ID: user.ID},
	}
}

// SessionCaller is the caller that holds a session, nil when the role or user
// behind it is gone: AWS refuses the credentials of deleted principals. The
// caller holds the World's lock.
func SessionCaller(w *store.World, s *store.Session) *gate.Caller {
	c := &gate.Caller{AccessKey: s.AccessKey, Session: s}
	seen := w.Horizon(s.Account)
	if s.Kind == store.AssumedRole {
		role, account := w.RoleByID(s.Entity, seen)
		if role == nil {
			return nil
		}
		c.Principal = authz.Principal{
			Kind: authz.RoleSession, ARN: arn.SessionARN(store.Partition, account, role.Name, s.Name),
			Entity: role.RoleARN(account), ID: role.ID + ":" + s.Name, ServiceLinked: role.ServiceLinked,
		}
		return c
	}
	if s.Kind == store.Console && s.Entity == "" {
		if w.Accounts[s.Account] == nil {
			return nil
		}
		c.Principal = authz.Principal{Kind: authz.Root, ARN: arn.Root(store.Partition, s.Account), ID: string(s.Account)}
		return c
	}
	user, account := w.UserByID(s.Entity, seen)
	if user == nil {
		return nil
	}
	c.Principal = authz.Principal{Kind: authz.User, ARN: user.UserARN(account), ID: user.ID}
	if s.Kind == store.Federated {
		c.Principal = authz.Principal{
			Kind: authz.FederatedUser, Entity: user.UserARN(account), EntityID: user.ID, ID: string(account) + ":" + s.Name,
			ARN: arn.ARN{Partition: store.Partition, Service: "sts", Account: account, Owner: string(account), Resource: "federated-user/" + s.Name},
		}
	}
	return c
}
