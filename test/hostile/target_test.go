// Package hostile sends the local AWS what nobody should send: broken and
// unsigned requests, signatures and tokens that prove nothing, bodies that never
// end, through a real port.
//
// Start with [target]: a server that reports every panic and every internal
// error of the handler, and can tell whether its world has changed. The rules
// are the same in all tests: no panic, no 5xx but "not implemented", an answer in
// bounded time and memory, and a world that only changes for whoever proved who
// they are.
package hostile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/store"
)

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"
	region                = "us-east-1"
	// patience is what an answer may take.
	patience = time.Minute
)

// epoch is the time on the local AWS's clock, which stands still: what was
// signed once stays valid.
var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// target is a local AWS on a port, with a seeded world.
type target struct {
	*localaws.Server
	port *frontdoor.Server
	addr string

	mu       sync.Mutex // guards findings
	findings []string
}

// newTarget starts a local AWS. change may change its configuration.
func newTarget(tb testing.TB, change func(*localaws.Config)) *target {
	tb.Helper()
	t := startTarget(tb, change)
	tb.Cleanup(func() { t.stop(tb) })
	return t
}

// withoutClusters spares fuzz workers the making of keys, which takes them seconds.
func withoutClusters(c *localaws.Config) { c.Clusters = nil }

// startTarget is newTarget for those who stop it themselves.
func startTarget(tb testing.TB, change func(*localaws.Config)) *target {
	tb.Helper()
	cfg := localaws.Config{
		Accounts: []localaws.Account{{Name: "tooling", ID: tooling}, {Name: "orders-prod", ID: orders}}, Organization: true,
		Clusters: []localaws.Cluster{{Account: tooling, Name: "ci"}, {Account: orders, Name: "other"}},
		Clock:    store.NewManualClock(epoch), Seed: 1,
	}
	if change != nil {
		change(&cfg)
	}
	server, err := localaws.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	t := &target{Server: server}
	port, err := frontdoor.Listen(context.WithoutCancel(tb.Context()), "127.0.0.1:0", http.HandlerFunc(t.watch))
	if err != nil {
		tb.Fatal(err)
	}
	t.port, t.addr = port, port.Addr().String()
	if err := t.seed(tb.Context()); err != nil {
		tb.Fatalf("seeding: %v", err)
	}
	return t
}

func (t *target) stop(tb testing.TB) {
	tb.Helper()
	if err := errors.Join(t.port.Close(), t.Close()); err != nil {
		tb.Error(err)
	}
	t.report(tb)
}

// watch is the server with an eye on panics and internal errors.
func (t *target) watch(w http.ResponseWriter, r *http.Request) {
	seen := &statusWriter{ResponseWriter: w}
	defer func() {
		p := recover()
		if err, ok := p.(error); p != nil && !(ok && errors.Is(err, http.ErrAbortHandler)) {
			t.find("panic: %v\n%s", p, debug.Stack())
		}
		if seen.status >= 500 && seen.status != http.StatusNotImplemented {
			t.find("%s %q: status %d: %s", r.Method, r.URL, seen.status, seen.body.String())
		}
		if p != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	t.ServeHTTP(seen, r)
}

type statusWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status >= 500 {
		w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (t *target) find(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.findings = append(t.findings, fmt.Sprintf(format, args...))
}

// report fails a test for what was found so far, once.
func (t *target) report(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.findings {
		tb.Error(f)
	}
	t.findings = nil
}

// digest is a hash of everything in the world but the times of last use, which
// only valid requests can change and which are no access.
func (t *target) digest(tb testing.TB) [32]byte {
	tb.Helper()
	text, err := t.World().Dump()
	if err != nil {
		tb.Fatal(err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		tb.Fatal(err)
	}
	delete(parts, "used")
	text, err = json.Marshal(parts)
	if err != nil {
		tb.Fatal(err)
	}
	return sha256.Sum256(text)
}

// unchanged runs do and fails when the world is another one afterwards.
func (t *target) unchanged(tb testing.TB, do func()) {
	tb.Helper()
	before := t.digest(tb)
	do()
	if t.digest(tb) != before {
		tb.Error("the world has changed")
	}
	t.report(tb)
}

// raw sends bytes as they are and returns what comes back until the server
// closes the connection, as it does when a client has no more to say. It fails
// when that takes longer than patience.
func (t *target) raw(tb testing.TB, data []byte) string {
	tb.Helper()
	return t.send(tb, true, data)
}

// send is raw, with the end of what is said told or not: a client that waits for
// its answer without telling sends "Connection: close".
func (t *target) send(tb testing.TB, tellEnd bool, parts ...[]byte) string {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", t.addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	for _, part := range parts {
		_, _ = conn.Write(part) // the server may hang up before it has read it all
	}
	if tellEnd {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		tb.Errorf("no end of the answer after %v to %.200q", patience, parts)
	}
	return string(answer)
}

// status is the status of a raw answer, 0 for none.
func status(answer string) int {
	code := 0
	if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d", &code); err != nil {
		return 0
	}
	return code
}

// admin is an account's administrator, within the process.
func (t *target) admin(account arn.AccountID) aws.Config {
	id, secret, _ := t.Administrator(account)
	return aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(resign{t})},
	}
}

const (
	trustAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`
	podRole  = "arn:aws:iam::222222222222:role/pod"
)

// podTrust lets one service account of tooling/ci in.
func podTrust(issuer string) string {
	key := strings.TrimPrefix(issuer, "https://")
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/` + key + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
		`"Condition":{"StringEquals":{"` + key + `:sub":"system:serviceaccount:payroll:api","` + key + `:aud":"sts.amazonaws.com"}}}}`
}

// seed makes a role for pods, a table and a secret in orders.
func (t *target) seed(ctx context.Context) error {
	cfg := t.admin(orders)
	i, s, d := iam.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	trust := trustAll
	if issuer, ok := t.Issuer(tooling, "ci"); ok {
		if _, err := i.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: &issuer, ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
			return err
		}
		trust = podTrust(issuer)
	}
	if _, err := i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("pod"), AssumeRolePolicyDocument: &trust}); err != nil {
		return err
	}
	_, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("Secret"), SecretString: aws.String("hunter2"), ClientRequestToken: aws.String("00000000-0000-0000-0000-000000000001"),
	})
	if err != nil {
		return err
	}
	_, err = d.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: ddbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("Code"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
		KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("Code"), KeyType: ddbtypes.KeyTypeHash}},
	})
	return err
}
