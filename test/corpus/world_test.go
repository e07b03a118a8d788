package corpus_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/policy"
)

// keeper is the account that manages the organization, and has nothing else.
const keeper arn.AccountID = "888888888888"

// world is a local AWS with what one case is about.
type world struct {
	req    *authz.Request
	pols   *authz.Policies
	keys   *keys
	server *localaws.Server
	clock  *store.ManualClock
	owner  arn.AccountID // of the resource
	url    string
	caller aws.Config
	entity *store.Entity // the caller's user or role
}

// newWorld builds the local AWS of a case. The error is an aside where it
// cannot be built.
func newWorld(t *testing.T, c *corpus.Case, req *authz.Request, pols *authz.Policies) (*world, error) {
	t.Helper()
	w := &world{req: req, pols: pols, owner: corpus.Owner(req)}
	if err := w.expressible(); err != nil {
		return nil, err
	}
	var err error
	if w.keys, err = newKeys(c, req, pols); err != nil {
		return nil, err
	}
	w.clock = store.NewManualClock(w.keys.now)
	w.server, err = localaws.New(localaws.Config{Accounts: w.accounts(), Clock: w.clock, Seed: 1, FetchIssuer: issuer().fetch})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	if err := w.fill(t); err != nil {
		return nil, err
	}
	return w, nil
}

// serve puts the local AWS behind HTTP, as seen from where the case's request
// comes from.
func (w *world) serve(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.keys.arrive(r)
		w.server.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
}

// expressible gives the reason why there is no such request on a local AWS.
func (w *world) expressible() error {
	p := &w.req.Principal
	switch {
	case calls[w.req.Action] == nil:
		service, _, _ := strings.Cut(w.req.Action, ":")
		if !slices.Contains([]string{"dynamodb", "secretsmanager", "kms", "sts", "iam"}, service) {
			return asidef("the local AWS has no service %s", service)
		}
		return asidef("no call is made for %s", w.req.Action)
	case p.Kind == authz.Anonymous, p.Kind == authz.Service, p.Kind == authz.SAML, p.Kind == authz.Root:
		return asidef("a caller of kind %v has no way in", p.Kind)
	case p.Kind == authz.WebIdentity && w.req.Action != "sts:AssumeRoleWithWebIdentity":
		return asidef("no token asks for %s by itself", w.req.Action)
	case p.Kind == authz.WebIdentity && p.Provider.Account != w.owner:
		return aside("a token is checked by the provider of the role's own account")
	case len(w.pols.Unread) > 0:
		return aside("the local AWS has read everything")
	case w.pols.Endpoint != nil:
		return aside("the local AWS has no VPC endpoints")
	case w.pols.HasSession && len(w.pols.Session) == 0:
		return aside("a session has no empty list of session policies")
	case p.Kind == authz.FederatedUser && strings.HasPrefix(w.req.Action, "iam:"):
		return aside("the API of IAM takes no federated users")
	case p.Kind == authz.FederatedUser && p.ID != "" && p.ID != string(p.Account())+":"+p.ARN.Name():
		return aside("the unique id of a federated user follows from its name")
	case strings.HasPrefix(w.req.Action, "kms:Re") && len(w.pols.Grants) == 0:
		return aside("there is no grant to be retired or revoked")
	case len(w.pols.Session) > 0 && p.Kind == authz.User:
		return aside("a user has no session policies")
	case w.req.ResourceAWSManaged:
		return aside("the policy of a key that AWS manages cannot be written")
	case p.ServiceLinked && p.Kind == authz.RoleSession && p.Entity.IsZero():
		return aside("a service-linked role has a path")
	case w.pols.Resource == nil && strings.HasPrefix(w.req.Action, "sts:AssumeRole"):
		return aside("a role has a trust policy")
	case w.pols.Resource == nil && strings.HasPrefix(w.req.Action, "kms:") && strings.Contains(w.req.Resource, ":key/"):
		return aside("a key has a key policy")
	case w.req.ResourceManagement && w.owner != p.Account():
		return aside("the management account is the caller's here")
	}
	return w.unacceptable()
}

// unacceptable gives the reason why AWS would not take one of the policies.
func (w *world) unacceptable() error {
	for _, p := range corpus.Documents(w.pols) {
		if problems := policy.Validate(p.Document(), kindOf[p.Source().Layer]); len(problems) > 0 && p.Source().Layer != authz.LayerSCP {
			return aside("AWS does not accept one of the documents")
		}
	}
	return nil
}

var kindOf = map[authz.Layer]policy.Kind{
	authz.LayerIdentity: policy.Identity, authz.LayerBoundary: policy.Boundary, authz.LayerSession: policy.Session,
	authz.LayerSCP: policy.SCP, authz.LayerRCP: policy.RCP, authz.LayerTrust: policy.Trust, authz.LayerKey: policy.Key,
	authz.LayerResource: policy.Resource,
}

// accounts are all that the case speaks of, and one that keeps the organization.
func (w *world) accounts() []localaws.Account {
	ids := []arn.AccountID{keeper, w.owner}
	if id := w.req.Principal.Account(); id != "" {
		ids = append(ids, id)
	}
	for _, named := range w.named() {
		ids = append(ids, named.Account)
	}
	slices.Sort(ids)
	var accounts []localaws.Account
	for _, id := range slices.Compact(ids) {
		if id != "" {
			accounts = append(accounts, localaws.Account{ID: id})
		}
	}
	return accounts
}

// named are the principals that the resource's policy and grants name by ARN.
func (w *world) named() []arn.ARN {
	var values []string
	if w.pols.Resource != nil {
		for i := range w.pols.Resource.Document().Statements {
			s := &w.pols.Resource.Document().Statements[i]
			for _, list := range []*policy.Principals{s.Principal, s.NotPrincipal} {
				if list == nil {
					continue
				}
				for _, entry := range list.Entries {
					values = append(values, entry.Value.Value)
				}
			}
		}
	}
	for i := range w.pols.Grants {
		values = append(values, w.pols.Grants[i].Grantee, w.pols.Grants[i].Retiring)
	}
	var named []arn.ARN
	for _, value := range values {
		if id, err := arn.ParseAccountID(value); err == nil {
			named = append(named, arn.Root(store.Partition, id))
		} else if a, err := arn.Parse(value); err == nil {
			named = append(named, a)
		}
	}
	return named
}

// fill writes the case's principals, organization and resource into the store.
func (w *world) fill(t *testing.T) error {
	t.Helper()
	state := w.server.World()
	state.Lock()
	defer state.Unlock()
	w.principals(state)
	if err := w.login(state); err != nil {
		return err
	}
	if err := w.organize(state); err != nil {
		return err
	}
	return w.resource(state)
}

// principals makes the caller's user or role, and all others that are named.
func (w *world) principals(state *store.World) {
	p := &w.req.Principal
	switch p.Kind {
	case authz.User:
		w.entity = w.user(state, p.ARN, p.ID)
	case authz.RoleSession:
		role := p.Entity
		if name, _, ok := p.ARN.RoleSession(); ok && role.IsZero() {
			role = arn.IAM(store.Partition, p.ARN.Account, "role", "/", name)
		}
		id, _, _ := strings.Cut(p.ID, ":")
		w.entity = w.role(state, role, id, p.ServiceLinked)
	case authz.FederatedUser:
		user := p.Entity
		if user.IsZero() {
			user = arn.IAM(store.Partition, p.ARN.Account, "user", "/", p.ARN.Name())
		}
		w.entity = w.user(state, user, p.EntityID)
	case authz.Anonymous, authz.Root, authz.WebIdentity, authz.SAML, authz.Service:
	}
	for _, a := range w.named() {
		switch name, _, session := a.RoleSession(); {
		case session:
			w.role(state, arn.IAM(store.Partition, a.Account, "role", "/", name), "", false)
		case a.Service == "iam" && a.Type() == "role":
			w.role(state, a, "", false)
		case a.Service == "iam" && a.Type() == "user":
			w.user(state, a, "")
		}
	}
}

func (w *world) user(state *store.World, a arn.ARN, id string) *store.Entity {
	users := state.Accounts[a.Account].IAM.Users
	key := strings.ToLower(a.Name())
	if existing := users[key].Latest(); existing != nil {
		return &existing.Entity
	}
	user := &store.User{Entity: entity(state, a, "user", id)}
	users[key] = store.NewVersioned(time.Time{}, user)
	return &user.Entity
}

func (w *world) role(state *store.World, a arn.ARN, id string, linked bool) *store.Entity {
	roles := state.Accounts[a.Account].IAM.Roles
	key := strings.ToLower(a.Name())
	if existing := roles[key].Latest(); existing != nil {
		return &existing.Entity
	}
	role := &store.Role{Entity: entity(state, a, "role", id), Trust: emptyTrust, MaxSession: 12 * time.Hour, ServiceLinked: linked}
	roles[key] = store.NewVersioned(time.Time{}, role)
	return &role.Entity
}

// emptyTrust trusts nobody who calls: it is for roles that the case only names.
const emptyTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func entity(state *store.World, a arn.ARN, kind, id string) store.Entity {
	path := strings.TrimSuffix(strings.TrimPrefix(a.Resource, kind), a.Name())
	if id == "" {
		id = state.NewPrincipal(a.Account, kind, a.Name())
	} else {
		state.Principals[id] = store.PrincipalRef{Account: a.Account, Kind: kind, Name: a.Name()}
	}
	return store.Entity{Name: a.Name(), Path: path, ID: id}
}

// login gives the caller its policies and credentials.
func (w *world) login(state *store.World) error {
	p := &w.req.Principal
	if w.entity == nil {
		w.caller = w.config("", "", "")
		return nil
	}
	w.entity.Inline = map[string]string{}
	for i, identity := range w.pols.Identity {
		w.entity.Inline[fmt.Sprintf("p%d", i)] = text(identity)
	}
	w.entity.Tags = w.keys.callerTags
	if w.pols.Boundary != nil {
		w.entity.Boundary = w.boundary(state, p.Account())
	}
	if p.Kind == authz.User && !w.keys.temporary {
		key := &store.AccessKey{
			ID: state.IDs().AccessKey(store.PrefixAccessKey, p.Account()), Secret: state.IDs().Secret(),
			Account: p.Account(), User: w.entity.ID, Active: true,
		}
		state.AccessKeys[key.ID] = store.NewVersioned(time.Time{}, key)
		w.caller = w.config(key.ID, key.Secret, "")
		return nil
	}
	s := &store.Session{
		Kind: store.AssumedRole, Account: p.Account(), Entity: w.entity.ID, Name: p.ARN.Name(),
		Issued: w.keys.issued, Expires: w.clock.Now().Add(time.Hour), MFA: w.keys.mfa, SourceIdentity: w.keys.sourceIdentity,
		AccessKey: state.IDs().AccessKey(store.PrefixSessionKey, p.Account()), Secret: state.IDs().Secret(),
	}
	if _, session, ok := p.ARN.RoleSession(); ok {
		s.Name = session
	}
	switch p.Kind {
	case authz.FederatedUser:
		s.Kind = store.Federated
	case authz.User:
		s.Kind, s.Name = store.UserSession, ""
	case authz.Anonymous, authz.Root, authz.RoleSession, authz.WebIdentity, authz.SAML, authz.Service:
	}
	for _, session := range w.pols.Session {
		s.Policies = append(s.Policies, text(session))
	}
	token, err := state.Seal(s)
	w.caller = w.config(s.AccessKey, s.Secret, token)
	return err
}

// boundary makes the managed policy that is the caller's boundary.
func (w *world) boundary(state *store.World, account arn.AccountID) string {
	p := &store.Policy{Name: "boundary", Path: "/", Default: "v1", Versions: []store.PolicyVersion{{ID: "v1", Document: text(w.pols.Boundary)}}}
	state.Accounts[account].IAM.Policies["boundary"] = store.NewVersioned(time.Time{}, p)
	return p.PolicyARN(account).String()
}

func text(p *authz.Policy) string { return string(p.Document().JSON()) }

// config is the configuration of a client that has the given credentials.
func (w *world) config(id, secret, token string) aws.Config {
	cfg := aws.Config{
		Region: w.keys.region, BaseEndpoint: aws.String(w.url), Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.AnonymousCredentials{},
	}
	if id != "" {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
	}
	return cfg
}

// organize makes the organization's tree that the case's SCPs and RCPs hang in.
func (w *world) organize(state *store.World) error {
	p := &w.req.Principal
	if w.pols.SCPs == nil && w.pols.RCPs == nil && w.keys.organization == "" {
		return nil
	}
	management := keeper
	if p.Management || w.req.ResourceManagement {
		management = p.Account()
	}
	org := state.NewOrganization(management, time.Time{})
	if w.keys.organization != "" {
		org.ID = w.keys.organization
	}
	state.Organization = org
	if p.Account() != "" && p.Account() != management && (w.pols.SCPs != nil || w.keys.organization != "") {
		org.Join(p.Account(), "CREATED", time.Time{})
		if err := w.attach(org, p.Account(), store.ServiceControlPolicy, w.pols.SCPs); err != nil {
			return err
		}
	}
	if w.pols.RCPs == nil {
		return nil
	}
	if org.Members[w.owner] == nil {
		org.Join(w.owner, "CREATED", time.Time{})
	}
	return w.attach(org, w.owner, store.ResourceControlPolicy, w.pols.RCPs)
}

// attach puts an account below the nodes of levels and attaches their policies.
func (w *world) attach(org *store.Organization, account arn.AccountID, kind string, levels []authz.Level) error {
	parent := org.Root
	for i := range levels {
		level := &levels[i]
		node := level.Node
		switch {
		case strings.HasPrefix(node, "r-"):
			node = org.Root
		case strings.HasPrefix(node, "ou-"):
			if org.Nodes[node] == nil {
				org.Nodes[node] = &store.OrgNode{ID: node, Name: node}
				org.Attachments[node] = store.NewVersioned(time.Time{}, &[]string{store.FullAWSAccess, store.RCPFullAWSAccess})
			}
			org.Nodes[node].Parent = parent
			parent = node
		case node != string(account):
			return asidef("level %s is not above account %s", node, account)
		}
		ids := w.keep(org, node, kind)
		for j, p := range level.Policies {
			id := fmt.Sprintf("p-%s%d%d", strings.ToLower(kind[:4]), i, j)
			org.Policies[id] = store.NewVersioned(time.Time{}, &store.OrgPolicy{ID: id, Type: kind, Name: id, Content: text(p)})
			ids = append(ids, id)
		}
		org.Attachments[node] = store.NewVersioned(time.Time{}, &ids)
	}
	org.Members[account].Parent = parent
	return nil
}

// keep lists what stays attached to a node: policies of the other kind, and
// the RCP that cannot be detached.
func (w *world) keep(org *store.Organization, node, kind string) []string {
	ids := []string{store.RCPFullAWSAccess}
	for _, id := range org.Attached(node) {
		if p := org.Policies[id].Latest(); p != nil && p.Type != kind || id == store.FullAWSAccess && kind != store.ServiceControlPolicy {
			ids = append(ids, id)
		}
	}
	return ids
}

// canonical is a resource's policy as AWS stores it. The error is an aside
// where AWS would not, because a principal does not exist.
func (w *world) canonical(state *store.World) (string, error) {
	if w.pols.Resource == nil {
		return "", nil
	}
	written := text(w.pols.Resource)
	if strings.Contains(written, `"AWS":"AIDA`) || strings.Contains(written, `"AWS":"AROA`) {
		return written, nil // of somebody who is gone, or of the caller
	}
	stored, err := state.Canonical(written)
	if _, ok := errors.AsType[*store.PrincipalError](err); ok {
		return "", aside("AWS does not accept a principal that does not exist")
	}
	return stored, err
}
