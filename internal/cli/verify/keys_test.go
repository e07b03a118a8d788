package verify_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) }})
}

// world is a local AWS with the declarations of a test.
type world struct {
	*testing.T
	*routetest.World
	env []string // of stile, beside the World's
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t, routetest.New(t), nil}
}

func (w *world) config(id, secret, token string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, token)}
}

func (w *world) admin(account arn.AccountID) aws.Config {
	id, secret, _ := w.Server.Administrator(account)
	return w.config(id, secret, "")
}

// key makes a key of orders-prod, under KMS's own policy when that is "".
func (w *world) key(policy string) *types.KeyMetadata {
	w.Helper()
	in := &kms.CreateKeyInput{}
	if policy != "" {
		in.Policy = &policy
	}
	made, err := kms.NewFromConfig(w.admin(routetest.Orders)).CreateKey(w.Context(), in)
	if err != nil {
		w.Fatal(err)
	}
	return made.KeyMetadata
}

func (w *world) keyPolicy(key *types.KeyMetadata) string {
	w.Helper()
	got, err := kms.NewFromConfig(w.admin(routetest.Orders)).GetKeyPolicy(w.Context(), &kms.GetKeyPolicyInput{KeyId: key.KeyId, PolicyName: aws.String("default")})
	if err != nil {
		w.Fatal(err)
	}
	return *got.Policy
}

func (w *world) putKeyPolicy(key *types.KeyMetadata, text string) {
	w.Helper()
	_, err := kms.NewFromConfig(w.admin(routetest.Orders)).PutKeyPolicy(w.Context(), &kms.PutKeyPolicyInput{KeyId: key.KeyId, PolicyName: aws.String("default"), Policy: &text})
	if err != nil {
		w.Fatal(err)
	}
}

// appRole is a role of tooling that its administrator may enter.
func (w *world) appRole() aws.Config {
	w.Helper()
	_, err := w.IAM(routetest.Tooling).CreateRole(w.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("AppRole"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}}`),
	})
	if err != nil {
		w.Fatal(err)
	}
	got, err := sts.NewFromConfig(w.admin(routetest.Tooling)).AssumeRole(w.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:role/AppRole"), RoleSessionName: aws.String("app")})
	if err != nil {
		w.Fatal(err)
	}
	return w.config(*got.Credentials.AccessKeyId, *got.Credentials.SecretAccessKey, *got.Credentials.SessionToken)
}

// declare writes the accounts, the cluster, and Access objects after them.
func (w *world) declare(accesses ...string) string {
	w.Helper()
	const common = `apiVersion: stile.dev/v1alpha1
kind: Scope
metadata: {name: keys}
spec: {home: {account: tooling}}
---
apiVersion: stile.dev/v1alpha1
kind: Account
metadata: {name: tooling}
spec: {id: "111111111111", manageWith: {profile: tooling}}
---
apiVersion: stile.dev/v1alpha1
kind: Account
metadata: {name: orders-prod}
spec: {id: "222222222222", manageWith: {profile: orders-prod}}
---
apiVersion: stile.dev/v1alpha1
kind: Cluster
metadata: {name: ci}
spec: {account: tooling, region: us-east-1}
`
	return w.Write(w.T, "declared.yaml", strings.Join(append([]string{common}, accesses...), "---\n"))
}

// podMay is an Access that lets a service account do what items of allow say.
func podMay(name string, items ...string) string {
	return `apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: ` + name + `}
spec:
  from:
    - serviceAccount: {cluster: ci, namespace: payroll, name: api}
  to: {accounts: [orders-prod]}
  as: payroll-api
  allow: [` + strings.Join(items, ", ") + `]
`
}

// exits runs stile and gives what it printed, errors included.
func (w *world) exits(code int, args ...string) string {
	w.Helper()
	r := w.Stile(w.T, w.env, args...)
	if r.Code != code {
		w.Fatalf("stile %s ends with %d, want %d:\n%s%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
	return r.Stdout + r.Stderr
}

func (w *world) contains(text string, wanted ...string) {
	w.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			w.Errorf("no %q in:\n%s", want, text)
		}
	}
}

const closedPolicy = `{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Effect" : "Allow",
    "Principal" : { "AWS" : "arn:aws:iam::222222222222:user/Administrator" },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`

// TestDeclaredKeys is the life of keys that are declared themselves: planned,
// applied, used, proven and tried live, changed by somebody, and given back as
// they were.
func TestDeclaredKeys(t *testing.T) {
	w := newWorld(t)
	open, closed := w.key(""), w.key(closedPolicy)
	app := w.appRole()
	openBefore, closedBefore := w.keyPolicy(open), w.keyPolicy(closed)
	path := w.declare(podMay("decrypts", `{grant: kms/decrypt, resources: ["`+*open.Arn+`", "`+*closed.Arn+`"]}`), `apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: keeps-identity}
spec:
  from:
    - role: {account: tooling, name: AppRole}
  to: {accounts: [orders-prod]}
  via: resourcePolicy
  allow:
    - grant: kms/encrypt
      resources: ["`+*open.Arn+`"]
`)
	plan := w.exits(2, "plan", path)
	w.contains(plan, "key policy yes", "key "+*open.KeyId+": 1 statement(s) of ours put, 1 of others kept", "key "+*closed.KeyId+": 1 statement(s) of ours put, 1 of others kept",
		"policy of key "+*open.Arn)
	if strings.Contains(plan, "NOT ALLOWED") || strings.Contains(plan, "unknown") {
		t.Errorf("the plan does not prove everything:\n%s", plan)
	}
	w.exits(0, "apply", "--yes", path)
	w.contains(w.exits(0, "plan", path), "nothing to change")
	w.contains(w.exits(0, "verify", path), "\nverified: ", "allowed     kms:DescribeKey on "+*open.Arn, "allowed     kms:DescribeKey on "+*closed.Arn, "0 findings against it")

	client := kms.NewFromConfig(app)
	if _, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: open.Arn, Plaintext: []byte("x")}); err != nil {
		t.Errorf("encrypting as the role that keeps its identity: %v", err)
	}
	if _, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: closed.Arn, Plaintext: []byte("x")}); err == nil {
		t.Error("a key that is not declared for the role encrypts for it")
	}

	// Somebody takes our statement away, and gives a grant besides.
	w.putKeyPolicy(closed, closedBefore)
	w.contains(w.exits(1, "verify", "--probe", "none", path), "our statement Stile", "NOT verified")
	w.contains(w.exits(2, "plan", path), "key "+*closed.KeyId+": 1 statement(s) of ours put")
	w.exits(0, "apply", "--yes", path)
	grant, err := kms.NewFromConfig(w.admin(routetest.Orders)).CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: closed.KeyId, GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/stile/payroll-api"), Operations: []types.GrantOperation{types.GrantOperationEncrypt},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.contains(w.exits(1, "verify", "--probe", "none", path), "KMS grant "+*grant.GrantId+" allows kms:Encrypt", "beyond what is declared")

	w.exits(0, "destroy", "--yes", path)
	if got := w.keyPolicy(open); got != openBefore {
		t.Errorf("the policy of the open key is %s\nwas %s", got, openBefore)
	}
	if got := w.keyPolicy(closed); got != closedBefore {
		t.Errorf("the policy of the closed key is %s\nwas %s", got, closedBefore)
	}
}

// TestKeysThatCannotBe: a declaration of a key that cannot work says so before
// anything is done.
func TestKeysThatCannotBe(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ name, key, want string }{
		{"a key that does not exist", "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab", "does not exist"},
		{"a pattern", "arn:aws:kms:us-east-1:222222222222:key/*", "names no single key"},
		{"an alias", "arn:aws:kms:us-east-1:222222222222:alias/orders", "write the key's ARN"},
		{"a key of an account that is not declared", "arn:aws:kms:us-east-1:444444444444:key/k", "has to be declared first"},
	} {
		path := w.declare(podMay("decrypts", `{grant: kms/decrypt, resources: ["`+test.key+`"]}`))
		if got := w.exits(1, "plan", path); !strings.Contains(got, test.want) {
			t.Errorf("%s: no %q in:\n%s", test.name, test.want, got)
		}
	}
}

// TestWhatIsUnderAKey: a table under a key of its own takes the use of the key,
// on both sides; a queue that cannot be read is taken to need none, and that is
// said in plan and verify alike.
func TestWhatIsUnderAKey(t *testing.T) {
	w := newWorld(t)
	first, second := w.key(closedPolicy), w.key("")
	before := w.keyPolicy(first)
	tables := dynamodb.NewFromConfig(w.admin(routetest.Orders))
	_, err := tables.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("Parcels"), BillingMode: dynamotypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: dynamotypes.ScalarAttributeTypeS}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dynamotypes.KeyTypeHash}},
		SSESpecification:     &dynamotypes.SSESpecification{Enabled: aws.Bool(true), KMSMasterKeyId: first.Arn},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := w.declare(podMay("reads-and-sends", `{grant: dynamodb/read, resources: ["arn:aws:dynamodb:us-east-1:${account}:table/Parcels"]}`, `{grant: sqs/send, resources: ["arn:aws:sqs:us-east-1:${account}:orders"]}`))
	const assumed = "whether queue orders of account orders-prod (222222222222) is encrypted under a KMS key is not known: this endpoint does not have the service sqs; taken to need none"
	w.contains(w.exits(2, "plan", path), "also kms:Decrypt: table Parcels is encrypted with the customer managed key "+*first.Arn,
		"also kms:DescribeKey: table Parcels is encrypted with the customer managed key "+*first.Arn, // which has no encryption context
		"key "+*first.KeyId+": 2 statement(s) of ours put", "key policy yes", "assumed: "+assumed)
	w.exits(0, "apply", "--yes", path)
	w.contains(w.exits(0, "verify", path), "\nverified: ", "allowed     dynamodb:GetItem on", "assumed  "+assumed)

	const parcels = "arn:aws:dynamodb:us-east-1:222222222222:table/Parcels"
	w.contains(w.exits(0, "can", "serviceaccount:ci/payroll/api", "dynamodb:GetItem", parcels), "allowed: ", "kms:Decrypt on "+*first.Arn)
	w.contains(w.exits(1, "can", "serviceaccount:ci/payroll/api", "dynamodb:PutItem", parcels), "denied: ")

	// The table moves under another key: what the old one took goes with it.
	if _, err := tables.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String("Parcels"), SSESpecification: &dynamotypes.SSESpecification{Enabled: aws.Bool(true), KMSMasterKeyId: second.Arn}}); err != nil {
		t.Fatal(err)
	}
	w.exits(1, "verify", "--probe", "none", path)
	w.contains(w.exits(2, "plan", path), "key "+*first.KeyId+": 2 statement(s) of ours removed")
	w.exits(0, "apply", "--yes", path)
	if got := w.keyPolicy(first); got != before {
		t.Errorf("the policy of the first key is %s\nwas %s", got, before)
	}
	w.contains(w.exits(0, "verify", path), "allowed     dynamodb:GetItem on")

	// Somebody takes the use of the key away.
	if _, err := w.IAM(routetest.Orders).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("payroll-api"), PolicyName: aws.String("stile-reads-and-sends"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query","dynamodb:DescribeTable"],"Resource":"*"}}`),
	}); err != nil {
		t.Fatal(err)
	}
	w.contains(w.exits(1, "verify", "--probe", "none", path), "denied ", "kms:Decrypt on "+*second.Arn, "NOT verified")
}

// queues is SQS in front of the local AWS, which has none: one queue, of which it
// tells the attributes it is given, or refuses to.
type queues struct {
	forward http.Handler

	mu  sync.Mutex
	key string // KmsMasterKeyId
	no  bool
}

func (q *queues) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "AmazonSQS.GetQueueAttributes" {
		q.forward.ServeHTTP(w, r)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if q.no {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#AccessDenied","message":"Access to the resource is denied."}`)
		return
	}
	attributes := map[string]string{"QueueArn": "arn:aws:sqs:us-east-1:222222222222:orders"}
	if q.key != "" {
		attributes["KmsMasterKeyId"] = q.key
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Attributes": attributes}) // the client has gone
}

func (q *queues) set(key string, no bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.key, q.no = key, no
}

// withQueues puts SQS before the world, for stile alone.
func (w *world) withQueues() *queues {
	w.Helper()
	at, err := url.Parse(w.URL)
	if err != nil {
		w.Fatal(err)
	}
	q := &queues{forward: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = at.Scheme, at.Host // what was signed stays the Host
	}}}
	server := httptest.NewServer(q)
	w.Cleanup(server.Close)
	w.env = append(w.env, "AWS_ENDPOINT_URL="+server.URL)
	return q
}

// TestAQueueUnderAKey: sending to a queue under a customer managed key takes the
// use of the key, by whatever name the queue calls it; under SQS's own it takes
// nothing, and where nobody tells it is taken to take nothing.
func TestAQueueUnderAKey(t *testing.T) {
	w := newWorld(t)
	q := w.withQueues()
	key := w.key(closedPolicy)
	before := w.keyPolicy(key)
	if _, err := kms.NewFromConfig(w.admin(routetest.Orders)).CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/orders"), TargetKeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	path := w.declare(podMay("sends", `{grant: sqs/send, resources: ["arn:aws:sqs:us-east-1:${account}:orders"]}`))
	const queue = "arn:aws:sqs:us-east-1:222222222222:orders"
	also := "also kms:Decrypt, kms:GenerateDataKey: queue orders is encrypted with the customer managed key " + *key.Arn
	for _, name := range []string{"alias/orders", *key.KeyId, *key.Arn, "arn:aws:kms:us-east-1:222222222222:alias/orders"} {
		q.set(name, false)
		plan := w.exits(2, "plan", path)
		w.contains(plan, also, "key "+*key.KeyId+": 1 statement(s) of ours put, 1 of others kept", "key policy yes")
		if strings.Contains(plan, "NOT ALLOWED") || strings.Contains(plan, "encrypted under a KMS key") {
			t.Errorf("by %s the plan does not prove everything:\n%s", name, plan)
		}
	}
	w.exits(0, "apply", "--yes", path)
	w.contains(w.exits(0, "verify", path), "\nverified: ")
	w.contains(w.exits(0, "can", "serviceaccount:ci/payroll/api", "sqs:SendMessage", queue), "allowed: ", "kms:GenerateDataKey on "+*key.Arn)
	w.contains(w.exits(1, "can", "serviceaccount:ci/payroll/api", "kms:Decrypt", "arn:aws:kms:us-east-1:222222222222:alias/orders"), "denied: ", "key "+*key.KeyId) // not through SQS

	for _, name := range []string{"", "alias/aws/sqs"} { // SSE-SQS, or SQS's key of the account
		q.set(name, false)
		w.contains(w.exits(2, "plan", path), "key "+*key.KeyId+": 1 statement(s) of ours removed", "via the policy of key "+*key.KeyId)
	}
	w.exits(0, "apply", "--yes", path)
	if got := w.keyPolicy(key); got != before {
		t.Errorf("the policy of the key is %s\nwas %s", got, before)
	}
	w.exits(0, "verify", "--probe", "none", path)

	q.set("", true)
	const assumed = "whether queue orders of account orders-prod (222222222222) is encrypted under a KMS key is not known: "
	w.contains(w.exits(0, "plan", path), "assumed: "+assumed, "AccessDenied", "taken to need none")
	w.contains(w.exits(0, "verify", "--probe", "none", path), "assumed  "+assumed)

	q.set("arn:aws:kms:us-east-1:444444444444:key/1234abcd-12ab-34cd-56ef-1234567890ab", false)
	w.contains(w.exits(1, "plan", path), "of queue orders is in an account that is not declared", "declare the account of the key")
}
