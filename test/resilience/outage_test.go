package resilience_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/deliver/patience"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// outages are how STS may be down.
var outages = map[string]func(r *http.Request) (*http.Response, error){
	"server errors": func(r *http.Request) (*http.Response, error) {
		return respond(r, http.StatusInternalServerError, `<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>`), nil
	},
	"throttling": func(r *http.Request) (*http.Response, error) {
		return respond(r, http.StatusBadRequest, `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`), nil
	},
	"refused connections": func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED },
	"silence": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	},
}

func respond(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{"Content-Type": {"text/xml"}}, Request: r}
}

// sts gives sessions of an hour, in the time of a synctest bubble, unless it is down.
type sts struct {
	mu    sync.Mutex // guards the rest
	down  func(*http.Request) (*http.Response, error)
	calls int
}

func (s *sts) set(down func(*http.Request) (*http.Response, error)) (calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls = s.calls
	s.down, s.calls = down, 0
	return calls
}

func (s *sts) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.calls++
	n, down := s.calls, s.down
	s.mu.Unlock()
	if down != nil {
		return down(r)
	}
	return respond(r, http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>
		<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))), nil
}

// farther is a provider that asks a broker, which has the credential in its cache.
type farther struct{ *creds.Cached }

func (f farther) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return f.RetrieveLong(ctx, 15*time.Minute)
}

// children are how children get at a credential of a cache: as a service's client in
// Go, from the endpoint of exec and serve, from a credential-process by the broker,
// from the endpoint of an exec that asks the broker.
func children(cached *creds.Cached, own *creds.Cache) map[string]aws.CredentialsProvider {
	const patient = 1500 * time.Millisecond // internal/deliver/endpoint
	return map[string]aws.CredentialsProvider{
		"pool":                    cached,
		"endpoint":                patience.New(cached, patient),
		"broker":                  farther{cached},
		"endpoint behind brokers": patience.New(own.Of(farther{cached}), patient),
	}
}

func TestAnOutageOfSTSIsInvisibleToChildren(t *testing.T) {
	for name, down := range outages {
		for _, begins := range []time.Duration{time.Minute, 15 * time.Minute, 29 * time.Minute} {
			t.Run(fmt.Sprintf("%s from minute %d on", name, begins/time.Minute), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { outage(t, down, begins) })
			})
		}
	}
}

const outageLasts = 30 * time.Minute

// outage has children ask every second while STS is down.
func outage(t *testing.T, down func(*http.Request) (*http.Response, error), begins time.Duration) {
	s := &sts{}
	brokers, own := creds.NewCache(creds.Config{}), creds.NewCache(creds.Config{})
	defer brokers.Close()
	defer own.Close()
	cfg := aws.Config{Region: "us-east-1", HTTPClient: &http.Client{Transport: s}, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "s", "")}
	cached, err := brokers.Chain(cfg, creds.From("self", cfg.Credentials), creds.Role{ARN: "arn:aws:iam::111111111111:role/reader"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	all := children(cached, own)
	ask := func(when string) {
		for name, p := range all {
			began := time.Now()
			c, err := p.Retrieve(ctx)
			if took := time.Since(began); err != nil || !time.Now().Before(c.Expires) || took > 2*time.Second {
				t.Fatalf("%s, %s: %v after %s, want a valid credential at once", when, name, err, took)
			}
		}
	}
	ask("before")
	go cached.Keep(ctx) // as a broker does
	time.Sleep(begins)
	s.set(down)
	for began := time.Now(); time.Since(began) < outageLasts; time.Sleep(time.Second) {
		ask(time.Since(began).String())
	}
	if n := s.set(nil); n > 150 {
		t.Errorf("%d calls while STS was down, want at most five a minute", n)
	}
	time.Sleep(2 * time.Minute)
	ask("after")
	if c, err := cached.Retrieve(ctx); err != nil || time.Until(c.Expires) < 25*time.Minute {
		t.Errorf("after: %v, %s left, want a new credential", err, time.Until(c.Expires))
	}
}

// child is a program that asks the endpoint of exec fifty times, as botocore does, and
// prints the access key ids that it got.
func child() {
	token, err := os.ReadFile(os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
	if err != nil {
		fmt.Println(err)
	}
	client := &http.Client{Timeout: 2 * time.Second}
	got := map[string]int{}
	for range 50 {
		req, err := http.NewRequest(http.MethodGet, os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", string(token))
		resp, err := client.Do(req)
		if err != nil {
			got[err.Error()]++
			continue
		}
		var answer struct{ AccessKeyId string }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			answer.AccessKeyId = err.Error()
		}
		got[answer.AccessKeyId]++
		_ = resp.Body.Close()
	}
	for id, n := range got {
		fmt.Println(n, id)
	}
}

// endSoon makes what is kept end in ten minutes, and a broker forget what it holds.
func endSoon(t *testing.T, w *logintest.World, least int) {
	t.Helper()
	w.Stile(t, nil, "broker", "stop").Want(t, "")
	paths, err := filepath.Glob(filepath.Join(w.Runtime, "stile/credentials/*"))
	if err != nil || len(paths) < least {
		t.Fatalf("%v, %v, want what is kept", paths, err)
	}
	for _, path := range paths {
		shift(t, path, -50*time.Minute)
	}
}

func TestChildrenOfExecUseWhatIsValidWhileAWSIsDown(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		t.Parallel()
		key := logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
		endSoon(t, w, 1)
		w.Fail(func(string) service.Action { return service.Drop })
		w.Stile(t, nil, "exec", "team-0/Admin", "--", "child").Want(t, "50 "+key)
	})
}

// The program itself, with credentials that end in ten minutes.
func TestProcessesUseWhatIsValidWhileAWSIsDown(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		t.Parallel()
		w.Dana(t)
		addresses := []string{"team-0/Admin", "dana:100000000001/work"}
		keys := map[string]string{}
		for _, a := range addresses {
			keys[a] = logintest.Key(t, w.Stile(t, nil, "credential-process", a))
		}
		endSoon(t, w, len(addresses))
		for name, down := range map[string]service.Action{"server errors": service.Fail, "throttling": service.Slow, "no answers": service.Drop} {
			w.Since()
			w.Fail(func(string) service.Action { return down })
			for range 2 {
				var herd []string
				for range 10 {
					herd = append(herd, addresses...)
				}
				for i, r := range w.Herd(t, herd) {
					if got := logintest.Key(t, r); got != keys[herd[i]] {
						t.Errorf("%s: %s got %s, want what is valid", name, herd[i], got)
					}
				}
			}
			calls := 0
			for _, n := range w.Since() {
				calls += n
			}
			if calls > 30 {
				t.Errorf("%s: %d calls by 40 processes, want a few for each credential", name, calls)
			}
		}
	})
}
