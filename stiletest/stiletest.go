// Package stiletest gives a test an organization of AWS accounts: roles, clients
// and IAM that is really enforced, in the test's own process and without network.
//
//	org := stiletest.New(t, "tooling", "orders-prod")
//	org.Role("orders-prod/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"dynamodb:*"}})
//	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
//
// Start with [New]. [Organization.Role] makes roles; one that is named before it is
// made, as tooling/monitor here, may enter whatever trusts it. [Organization.Admin] and
// [Organization.As] give aws.Configs for the SDK's own clients, and
// [Organization.Fault] makes calls fail. What goes wrong in making things ends
// the test at once.
//
// It serves iam, sts, organizations, eks, kms, secretsmanager and dynamodb (as far
// as access goes), inside a testing/synctest bubble too, where credentials expire
// in the bubble's time.
package stiletest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// Region is the Region of all configurations given out.
const Region = "us-east-1"

// Organization is a local AWS of several accounts in one organization. Make one
// with [New]. Safe for concurrent use.
type Organization struct {
	t      testing.TB
	server *localaws.Server
	client *http.Client
	ids    map[string]arn.AccountID
	names  []string
	cache  *creds.Cache

	making  sync.Mutex      // one role at a time; guards made and implied
	made    map[string]bool // roles, as ACCOUNT/ROLE
	implied map[string]bool // those of them that were only named

	mu    sync.Mutex // guards calls
	calls map[string]int
}

// New makes an organization of accounts with these names; the first is the
// management account. Their ids are 111111111111, 222222222222 and so on.
func New(t testing.TB, accounts ...string) *Organization {
	t.Helper()
	o := &Organization{t: t, ids: map[string]arn.AccountID{}, names: accounts, calls: map[string]int{}, made: map[string]bool{}, implied: map[string]bool{}}
	cfg := localaws.Config{Organization: true, Intercept: o.count}
	for i, name := range accounts {
		id := idOf(i)
		if o.ids[name] != "" {
			t.Fatalf("stiletest: account %q is given twice", name)
		}
		o.ids[name] = id
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: id, Name: name})
	}
	server, err := localaws.New(cfg)
	if err != nil {
		t.Fatalf("stiletest: making the local AWS: %v", err)
	}
	o.server, o.cache = server, creds.NewCache(creds.Config{})
	o.client = &http.Client{Transport: frontdoor.RoundTripper(server)}
	t.Cleanup(func() {
		o.cache.Close()
		if err := server.Close(); err != nil {
			t.Errorf("stiletest: closing the local AWS: %v", err)
		}
	})
	return o
}

// idOf is 111111111111 for the first account.
func idOf(i int) arn.AccountID {
	if i < 9 {
		return arn.AccountID(strings.Repeat(fmt.Sprint(i+1), 12))
	}
	return arn.AccountID(fmt.Sprintf("%012d", 100000000000+i))
}

// ID is the id of an account.
func (o *Organization) ID(account string) string {
	o.t.Helper()
	return string(o.id(account))
}

func (o *Organization) id(account string) arn.AccountID {
	o.t.Helper()
	id, ok := o.ids[account]
	if !ok {
		hint := ""
		if near := diag.Suggest(account, o.names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		o.t.Fatalf("stiletest: there is no account %q%s", account, hint)
	}
	return id
}

// Admin is the configuration of the account's administrator, who may do
// everything there.
func (o *Organization) Admin(account string) aws.Config {
	o.t.Helper()
	id, secret, ok := o.server.Administrator(o.id(account))
	if !ok {
		o.t.Fatalf("stiletest: the administrator of account %q is gone", account)
	}
	return o.config(credentials.NewStaticCredentialsProvider(id, secret, ""))
}

func (o *Organization) config(p aws.CredentialsProvider) aws.Config {
	return aws.Config{Region: Region, HTTPClient: o.client, Credentials: p}
}

// Role says what a role is for.
type Role struct {
	// TrustedBy are roles, as ACCOUNT/ROLE or ARNs, or whole accounts by name.
	// The role's own account is always trusted. A role that is not there yet is
	// made, as if by the zero Role.
	TrustedBy []string
	// Allow are actions allowed on everything. Policy, a document, says it finer.
	// A role with neither may enter the roles that trust it, and nothing else.
	Allow  []string
	Policy string
	// Trust is the whole trust policy, instead of TrustedBy.
	Trust string
	// ExternalID must be given by whoever is in TrustedBy.
	ExternalID string
	// MaxSession is at least and by default an hour.
	MaxSession time.Duration
}

// Role makes a role, named as ACCOUNT/ROLE, and returns its ARN.
func (o *Organization) Role(name string, r Role) string {
	o.t.Helper()
	o.making.Lock()
	defer o.making.Unlock()
	o.roleLocked(name, r)
	return o.arnLocked(name)
}

func (o *Organization) roleLocked(name string, r Role) {
	o.t.Helper()
	account, role := o.split(name)
	client := iam.NewFromConfig(o.Admin(account))
	ctx := o.t.Context()
	trust := r.Trust
	if trust == "" {
		trust = o.trustLocked(account, r)
	}
	longest := aws.Int32(int32(max(r.MaxSession, time.Hour) / time.Second))
	var err error
	if !o.implied[name] {
		_, err = client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: &trust, MaxSessionDuration: longest})
	} else { // the roles that trust it know it by its unique id
		_, err = client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &role, PolicyDocument: &trust})
		if err == nil {
			_, err = client.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &role, MaxSessionDuration: longest})
		}
		if err == nil {
			_, err = client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: aws.String(policyName)})
		}
	}
	if err != nil {
		o.t.Fatalf("stiletest: making role %s: %v", name, err)
	}
	o.made[name] = true
	delete(o.implied, name)
	document := r.Policy
	if document == "" {
		allow := r.Allow
		if len(allow) == 0 {
			allow = assuming
		}
		document = text(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{"Effect": "Allow", "Action": allow, "Resource": "*"}})
	}
	if _, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String(policyName), PolicyDocument: &document}); err != nil {
		o.t.Fatalf("stiletest: giving role %s its policy: %v", name, err)
	}
}

const policyName = "stiletest"

// assuming is what it takes to enter a role in every way.
var assuming = []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}

func (o *Organization) trustLocked(account string, r Role) string {
	o.t.Helper()
	statements := []any{map[string]any{"Effect": "Allow", "Action": assuming, "Principal": map[string]any{"AWS": o.arnLocked(account)}}}
	if len(r.TrustedBy) > 0 {
		var who []string
		for _, name := range r.TrustedBy {
			who = append(who, o.arnLocked(name))
		}
		statement := map[string]any{"Effect": "Allow", "Action": assuming, "Principal": map[string]any{"AWS": who}}
		if r.ExternalID != "" {
			statement["Condition"] = map[string]any{"StringEquals": map[string]string{"sts:ExternalId": r.ExternalID}}
		}
		statements = append(statements, statement)
	}
	return text(map[string]any{"Version": "2012-10-17", "Statement": statements})
}

func (o *Organization) arn(name string) string {
	o.t.Helper()
	o.making.Lock()
	defer o.making.Unlock()
	return o.arnLocked(name)
}

// arnLocked is the ARN of ACCOUNT/ROLE, which is made if it is not there, of an
// account, or the ARN given.
func (o *Organization) arnLocked(name string) string {
	o.t.Helper()
	switch {
	case strings.HasPrefix(name, "arn:"):
		return name
	case strings.Contains(name, "/"):
		account, role := o.split(name)
		if !o.made[name] {
			o.roleLocked(name, Role{})
			o.implied[name] = true
		}
		return arn.IAM("aws", o.id(account), "role", "", role).String()
	}
	return arn.Root("aws", o.id(name)).String()
}

func (o *Organization) split(name string) (account, role string) {
	o.t.Helper()
	account, role, ok := strings.Cut(name, "/")
	if !ok {
		o.t.Fatalf("stiletest: %q is not ACCOUNT/ROLE", name)
	}
	return account, role
}

func text(document any) string {
	b, err := json.Marshal(document)
	if err != nil {
		panic("stiletest: " + err.Error()) // strings in maps only
	}
	return string(b)
}

// As is the configuration of a role, named as ACCOUNT/ROLE, which trusts its own
// account as Role makes it.
func (o *Organization) As(name string) aws.Config {
	o.t.Helper()
	account, _ := o.split(name)
	admin := o.Admin(account)
	p, err := o.cache.Chain(admin, creds.From("administrator of "+account, admin.Credentials), creds.Role{ARN: o.arn(name)})
	if err != nil {
		o.t.Fatalf("stiletest: entering role %s: %v", name, err)
	}
	return o.config(p)
}

// Pool is a pool of a service that runs as a role, named as ACCOUNT/ROLE, and
// knows the organization's accounts by name. cfg says the rest; its AWS is set
// here. It is closed with the test.
func (o *Organization) Pool(as string, cfg stile.Config) *stile.Pool {
	o.t.Helper()
	self := o.As(as)
	cfg.AWS = &self
	if cfg.Directory == nil {
		cfg.Directory = o
	}
	p, err := stile.New(o.t.Context(), cfg)
	if err != nil {
		o.t.Fatalf("stiletest: making a pool: %v", err)
	}
	o.t.Cleanup(p.Close)
	return p
}

// Accounts makes an Organization a stile.Directory.
func (o *Organization) Accounts(context.Context) ([]stile.Account, error) {
	var out []stile.Account
	for _, name := range o.names {
		out = append(out, stile.Account{ID: o.ids[name], Name: name})
	}
	return out, nil
}

// Trouble is what goes wrong with a call.
type Trouble string

// The kinds of trouble.
const (
	Throttled   = Trouble(service.Throttle)    // the service's throttling error
	Broken      = Trouble(service.ServerError) // status 500
	Unavailable = Trouble(service.Unavailable) // status 503
	Cut         = Trouble(service.Outage)      // the connection ends without an answer
	Slow        = Trouble(service.Latency)     // the answer comes Delay later
)

// Fault says which calls go wrong, and how. Empty fields fit all calls.
//
// A client tries again what goes wrong, and a [stile.Pool] ten times, with pauses
// that add up to two minutes. So a test of trouble that lasts is run in a
// testing/synctest bubble, where pauses take no time and are as long as in earnest,
// or with less patience, by stile.Config's MaxAttempts.
type Fault struct {
	Account   string // name; calls of its credentials
	Service   string // "sts"
	Operation string // "AssumeRole"
	Trouble   Trouble
	Delay     time.Duration // for Slow
	Times     int           // how many calls; 0 is all, until the fault is removed
	// TakesEffect lets the call do its work before it goes wrong.
	TakesEffect bool
	// MustHit fails the test if no call has met the fault by its end, or by the
	// time that the fault is removed. Otherwise that is only logged.
	MustHit bool
}

// Fault makes calls go wrong until the function it returns is called. A service,
// operation or trouble that the local AWS does not know ends the test.
func (o *Organization) Fault(f Fault) (remove func()) {
	o.t.Helper()
	fault := service.Fault{
		Service: f.Service, Operation: f.Operation, Kind: service.FaultKind(f.Trouble), Delay: f.Delay, Times: f.Times, After: f.TakesEffect,
	}
	if f.Account != "" {
		fault.Account = o.id(f.Account)
	}
	id, err := o.server.AddFault(fault)
	if err != nil {
		o.t.Fatalf("stiletest: making calls go wrong: %v", err)
	}
	remove = sync.OnceFunc(func() {
		o.t.Helper()
		o.server.Faults().Remove(id)
		switch {
		case o.server.Faults().Hits(id) > 0:
		case f.MustHit:
			o.t.Errorf("stiletest: no call met the fault %+v", f)
		default:
			o.t.Logf("stiletest: no call met the fault %+v", f)
		}
	})
	o.t.Cleanup(remove)
	return remove
}

// Advance moves the local AWS's clock, so that credentials given out expire for
// it; the test's own clock stays.
func (o *Organization) Advance(d time.Duration) {
	o.t.Helper()
	if err := o.server.World().Advance(d); err != nil {
		o.t.Fatalf("stiletest: advancing the clock: %v", err)
	}
}

// Calls is how many requests of an action ("sts:AssumeRole") signed callers made,
// whatever became of them.
func (o *Organization) Calls(action string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[strings.ToLower(action)]
}

func (o *Organization) count(name, operation string, _ arn.AccountID, phase service.Phase) service.Action {
	if phase == service.Before {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.calls[strings.ToLower(name+":"+operation)]++
	}
	return service.Proceed
}

// LastDenial explains the latest request that was refused: every layer, its
// statements, and each condition's wanted and found values. It is "" when none was.
func (o *Organization) LastDenial() string {
	if recent := o.server.Denials().Recent(); len(recent) > 0 {
		return recent[0].Decision.Text()
	}
	return ""
}
