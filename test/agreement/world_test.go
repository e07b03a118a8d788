package agreement_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/observe"
)

// The accounts: the first manages the organization, the last is in none.
const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"
	data    arn.AccountID = "333333333333"
	partner arn.AccountID = "444444444444"

	region = localaws.DefaultRegion
)

var accounts = []arn.AccountID{tooling, orders, data, partner}

// world is a local AWS with random policies.
type world struct {
	*rand.Rand
	server *localaws.Server
	door   *http.Client
	at     time.Time

	org, unit string                            // ids of the organization and of one of its OUs
	keys      map[arn.AccountID]*store.KMSKey   // one an account
	secrets   map[arn.AccountID][]*store.Secret // under the account's key, and under AWS's own
	sealed    map[arn.AccountID][]byte          // something encrypted under the account's key
	callers   []caller
}

// caller is a principal with its credentials. A role's are of a session that is
// called by the name of sessionName.
type caller struct {
	arn    arn.ARN // of the user or role
	config aws.Config
}

const sessionName = "run-1"

// newWorld makes the world of a seed.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 1)), keys: map[arn.AccountID]*store.KMSKey{},
		secrets: map[arn.AccountID][]*store.Secret{}, sealed: map[arn.AccountID][]byte{},
	}
	cfg := localaws.Config{Seed: seed + 1}
	for _, id := range accounts {
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: id})
	}
	server, err := localaws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w.server, w.door, w.at = server, &http.Client{Transport: frontdoor.RoundTripper(server)}, time.Time{}
	for _, id := range accounts {
		if err := w.resources(t.Context(), id); err != nil {
			t.Fatalf("furnishing account %s: %v", id, err)
		}
	}
	state := server.World()
	state.Lock()
	defer state.Unlock()
	w.organize(state)
	for _, id := range accounts {
		w.principals(t, state, id)
	}
	for _, id := range accounts {
		w.identities(state, id)
		w.guard(t, state, id)
	}
	return w
}

// Config implements observe.Source: the administrators read, whom no policy
// keeps from it.
func (w *world) Config(_ context.Context, id arn.AccountID, _ string) (aws.Config, error) {
	key, secret, _ := w.server.Administrator(id)
	return w.config(credentials.NewStaticCredentialsProvider(key, secret, "")), nil
}

func (w *world) config(p aws.CredentialsProvider) aws.Config {
	return aws.Config{Region: region, HTTPClient: w.door, Credentials: p, Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
}

// resources makes an account's key, secrets and table, through the API.
func (w *world) resources(ctx context.Context, id arn.AccountID) error {
	cfg, _ := w.Config(ctx, id, region)
	keys, secrets := kms.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
	key, err := keys.CreateKey(ctx, &kms.CreateKeyInput{Tags: []kmstypes.Tag{{TagKey: aws.String("team"), TagValue: aws.String(w.team())}}})
	if err != nil {
		return err
	}
	if _, err = keys.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/orders"), TargetKeyId: key.KeyMetadata.KeyId}); err != nil {
		return err
	}
	sealed, err := keys.Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("x")})
	if err != nil {
		return err
	}
	w.sealed[id] = sealed.CiphertextBlob
	for _, name := range []string{"db", "plain"} {
		in := &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("x"), Tags: []secretstypes.Tag{{Key: aws.String("team"), Value: aws.String(w.team())}}}
		if name == "db" {
			in.KmsKeyId = key.KeyMetadata.Arn
		}
		if _, err := secrets.CreateSecret(ctx, in); err != nil {
			return err
		}
	}
	if _, err = dynamodb.NewFromConfig(cfg).CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: dynamodbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamodbtypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: dynamodbtypes.ScalarAttributeTypeS}},
		KeySchema:            []dynamodbtypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dynamodbtypes.KeyTypeHash}},
		Tags:                 []dynamodbtypes.Tag{{Key: aws.String("team"), Value: aws.String(w.team())}},
	}); err != nil {
		return err
	}
	state := w.server.World()
	state.RLock()
	defer state.RUnlock()
	account := state.Accounts[id]
	w.keys[id] = account.KMS.In(region).Keys[*key.KeyMetadata.KeyId]
	for _, name := range []string{"db", "plain"} {
		w.secrets[id] = append(w.secrets[id], (*account.Secrets.In(region))[name])
	}
	return nil
}

func (w *world) team() string { return pick(w, "orders", "data") }

// pick is one of list.
func pick[T any](w *world, list ...T) T { return list[w.IntN(len(list))] }

// one reports true once in n.
func (w *world) one(n int) bool { return w.IntN(n) == 0 }

// organize puts all accounts but the last into an organization with a few SCPs
// and RCPs at each level.
func (w *world) organize(state *store.World) {
	org := state.NewOrganization(tooling, w.at)
	state.Organization = org
	unit := state.NewUnit(org, org.Root, "Workloads", w.at)
	below := state.NewUnit(org, unit.ID, "Prod", w.at)
	org.Join(orders, "CREATED", w.at)
	org.Join(data, "CREATED", w.at)
	org.Members[orders].Parent, org.Members[data].Parent = unit.ID, below.ID
	w.org, w.unit = org.ID, unit.ID
	if w.one(6) {
		delete(org.Enabled, store.ResourceControlPolicy)
	}
	for _, node := range []string{org.Root, unit.ID, below.ID, string(orders), string(data), string(tooling)} {
		ids := []string{store.RCPFullAWSAccess}
		for range pick(w, 0, 0, 1, 2) {
			ids = append(ids, w.orgPolicy(org, store.ServiceControlPolicy, w.scp()))
		}
		if len(ids) == 1 || !w.one(4) || node == org.Root {
			ids = append(ids, store.FullAWSAccess)
		}
		if w.one(3) && org.Enabled[store.ResourceControlPolicy] {
			ids = append(ids, w.orgPolicy(org, store.ResourceControlPolicy, w.rcp()))
		}
		org.Attachments[node] = store.NewVersioned(w.at, &ids)
	}
}

func (w *world) orgPolicy(org *store.Organization, kind, document string) string {
	id := fmt.Sprintf("p-%08d", len(org.Policies))
	org.Policies[id] = store.NewVersioned(w.at, &store.OrgPolicy{ID: id, Type: kind, Name: id, Content: document})
	return id
}

// principals makes an account's users and roles, still without policies.
func (w *world) principals(t *testing.T, state *store.World, id arn.AccountID) {
	t.Helper()
	own := &state.Accounts[id].IAM
	entity := func(kind, name, path string) store.Entity {
		e := store.Entity{Name: name, Path: path, ID: state.NewPrincipal(id, kind, name)}
		if !w.one(3) {
			e.Tags = map[string]string{"team": w.team()}
		}
		return e
	}
	user := &store.User{Entity: entity("user", "ann", "/people/"), Groups: []string{"devs"}}
	own.Users["ann"] = store.NewVersioned(w.at, user)
	own.Groups["devs"] = store.NewVersioned(w.at, &store.Group{Entity: store.Entity{Name: "devs", Path: "/"}})
	key := &store.AccessKey{ID: state.IDs().AccessKey(store.PrefixAccessKey, id), Secret: state.IDs().Secret(), Account: id, User: user.ID, Active: true}
	state.AccessKeys[key.ID] = store.NewVersioned(w.at, key)
	w.callers = append(w.callers, caller{user.UserARN(id), w.config(credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""))})
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		path := roles[name]
		role := &store.Role{Entity: entity("role", name, path), MaxSession: time.Hour, ServiceLinked: strings.HasPrefix(path, "/aws-service-role/")}
		own.Roles[strings.ToLower(name)] = store.NewVersioned(w.at, role)
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		role := own.Role(name).Latest()
		s := &store.Session{
			Kind: store.AssumedRole, Account: id, Entity: role.ID, Name: sessionName, Issued: state.Now(), Expires: state.Now().Add(time.Hour),
			AccessKey: state.IDs().AccessKey(store.PrefixSessionKey, id), Secret: state.IDs().Secret(),
		}
		token, err := state.Seal(s)
		if err != nil {
			t.Fatal(err)
		}
		w.callers = append(w.callers, caller{role.RoleARN(id), w.config(credentials.NewStaticCredentialsProvider(s.AccessKey, s.Secret, token))})
	}
}

// roles are the roles of every account, with their paths.
var roles = map[string]string{"app": "/workloads/", "hub": "/", "AWSServiceRoleForBackup": "/aws-service-role/backup.amazonaws.com/"}

// identities gives an account's users and roles their own policies.
func (w *world) identities(state *store.World, id arn.AccountID) {
	own := &state.Accounts[id].IAM
	for _, name := range []string{"shared", "bounds"} {
		p := &store.Policy{Name: name, Path: "/", Default: "v1", Next: 2, Versions: []store.PolicyVersion{{ID: "v1", Document: w.identity()}}}
		if name == "bounds" {
			p.Versions[0].Document = w.boundary()
		}
		own.Policies[name] = store.NewVersioned(w.at, p)
	}
	ref := func(name string) string { return own.Policies[name].Latest().PolicyARN(id).String() }
	furnish := func(e *store.Entity) {
		e.Inline = map[string]string{}
		for i := range 1 + w.IntN(3) {
			e.Inline[fmt.Sprintf("p%d", i)] = w.identity()
		}
		if w.one(3) {
			e.Attached = append(e.Attached, ref("shared"))
		}
		if w.one(4) && !strings.HasPrefix(e.Path, "/aws-service-role/") {
			e.Boundary = ref("bounds")
		}
	}
	ann, devs := own.User("ann").Latest(), own.Group("devs").Latest()
	furnish(&ann.Entity)
	devs.Inline = map[string]string{"g": w.identity()}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		furnish(&own.Role(name).Latest().Entity)
	}
}

// guard gives an account's roles, key, secrets and table their policies.
func (w *world) guard(t *testing.T, state *store.World, id arn.AccountID) {
	t.Helper()
	stored := func(document string) string {
		text, err := state.Canonical(document)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		return text
	}
	own := state.Accounts[id]
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		own.IAM.Role(name).Latest().Trust = stored(w.trust(id))
	}
	key := stored(w.keyPolicy(id))
	w.keys[id].Policy = store.NewVersioned(w.at, &key)
	for i := range w.IntN(3) {
		grantee, _ := state.CanonicalPrincipal(w.someone(id))
		retiring, _ := state.CanonicalPrincipal(w.someone(id))
		g := store.KMSGrant{ID: fmt.Sprintf("grant%d", i), Grantee: grantee, Issuer: id, Operations: pick(w, []string{"Decrypt"}, []string{"Decrypt", "GenerateDataKey", "DescribeKey"})}
		if w.one(2) {
			g.Retiring = retiring
		}
		if w.one(3) {
			g.Context, g.Equals = map[string]string{"SecretARN": w.secrets[id][0].ARN().String()}, w.one(3)
		}
		w.keys[id].Grants = append(w.keys[id].Grants, g)
	}
	for _, s := range w.secrets[id] {
		if !w.one(3) {
			s.Policy = stored(w.resourcePolicy(id, "secretsmanager"))
		}
	}
	if !w.one(3) {
		own.DynamoDB.In(region).Tables["Orders"].Policy = store.NewVersioned(w.at, &store.TablePolicy{Text: stored(w.resourcePolicy(id, "dynamodb"))})
	}
}

// observed is everything, as the administrators read it through the API.
func (w *world) observed(t *testing.T) *inventory.Inventory {
	t.Helper()
	inv := &inventory.Inventory{}
	req := inventory.Request{Organization: true}
	for _, id := range accounts {
		*req.Account(id) = inventory.AccountRequest{Everything: true, Regions: []string{region}}
	}
	if err := observe.Fill(t.Context(), w, req, inv, observe.Options{}); err != nil {
		t.Fatal(err)
	}
	for id, a := range inv.Accounts {
		if len(a.Problems) > 0 || !a.Complete {
			t.Fatalf("reading account %s: complete %v, problems %v", id, a.Complete, a.Problems)
		}
	}
	if inv.OrgState != inventory.Exists {
		t.Fatalf("the organization is %v", inv.OrgState)
	}
	return inv
}
