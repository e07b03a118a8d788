package delivery_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// forbid has the role trust nobody with a token any more.
func (w *world) forbid(t *testing.T) {
	t.Helper()
	_, err := w.IAM(routetest.Orders).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName:       aws.String("payroll-api"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`),
	})
	must(t, err)
}

// untilAllRefused waits until no session that was made is good for anything.
func (w *world) untilAllRefused(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	made := append([]credential(nil), w.minted...)
	w.mu.Unlock()
	for _, c := range made {
		if err := w.refused(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// askAll has all clients make a call at once.
func askAll(t *testing.T, all []*conversation) {
	t.Helper()
	for _, v := range all {
		v.ask(t, "whoami")
	}
}

// blind says that a client of a form cannot tell its user what it was told: those
// of the metadata service drop the message (InstanceMetadataFetcher in botocore's
// utils.py), or go on with what has expired (ec2rolecreds of the Go SDK).
func (f *form) blind() bool { return strings.Contains(f.name, "imds") }

// TestClientsSayWhyThereAreNone: the role may not be assumed any more, and the
// credentials of running clients expire. Each says so, with AWS's reason.
func TestClientsSayWhyThereAreNone(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for _, f := range forms() {
		if f.fixed {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.shorten(short)
			var running []*conversation
			for _, c := range all {
				if f.files && c.old {
					continue
				}
				v := f.start(t, w, c)
				v.is(t, w, payroll)
				running = append(running, v)
			}
			w.forbid(t)
			w.untilAllRefused(t)
			before := len(w.used("AssumeRoleWithWebIdentity"))
			askAll(t, running)
			for _, v := range running {
				got := v.hear(t)
				said := got.Error + v.stderr() // the Go SDK leaves credential_process its standard error
				if got.Error == "" || !f.blind() && !strings.Contains(said, "assuming role "+roleARN+": STS AssumeRoleWithWebIdentity: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity") {
					t.Errorf("%s says %+v, want AWS's reason", v.name, said)
				}
				w.quiet(t, said)
			}
			if n := len(w.used("AssumeRoleWithWebIdentity")) - before; n > 40 {
				t.Errorf("STS was asked %d times, want it left alone after a denial", n)
			}
			for _, v := range w.serving {
				v.stop()
				if !strings.Contains(v.errs.String(), "stile: "+address+": no credentials: assuming role "+roleARN) {
					t.Errorf("stile serve says %q, want the reason", v.errs)
				}
				w.quiet(t, v.errs.String())
			}
		})
	}
}

// TestAnOutageOfSTS: as long as the credentials are valid, no client sees it. Then
// it is told within the time it waits for, also by STS's not answering at all,
// and it works again when STS does.
func TestAnOutageOfSTS(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for name, out := range map[string]func(rw http.ResponseWriter, r *http.Request, healed <-chan struct{}) bool{
		"unavailable": func(rw http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
			http.Error(rw, "<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>STS is out</Message></Error></ErrorResponse>", http.StatusServiceUnavailable)
			return true
		},
		"silent": func(_ http.ResponseWriter, r *http.Request, healed <-chan struct{}) bool {
			select {
			case <-healed:
				panic(http.ErrAbortHandler) // the connection is cut
			case <-r.Context().Done():
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.shorten(20 * time.Second)
			server := serve(t, w, address)
			var running []*conversation
			for _, c := range all {
				running = append(running, talk(t, w, c, nil, append(w.base,
					"AWS_CONTAINER_CREDENTIALS_FULL_URI="+server.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+server.token(t))))
			}
			healed := make(chan struct{})
			w.breakSTS(func(rw http.ResponseWriter, r *http.Request) bool { return out(rw, r, healed) })
			made := w.sessions()
			for _, v := range running {
				v.is(t, w, payroll)
			}
			w.untilAllRefused(t)
			if n := w.sessions(); n != made {
				t.Errorf("%d sessions were made during the outage", n-made)
			}
			askAll(t, running)
			for _, v := range running {
				got := v.hear(t)
				if !strings.Contains(got.Error, "no answer within") && !strings.Contains(got.Error, "assuming role "+roleARN) {
					t.Errorf("%s says %q, want what is wrong", v.name, got.Error)
				}
				w.quiet(t, got.Error)
			}
			w.breakSTS(nil)
			close(healed)
			w.shorten(0)
			for _, v := range running {
				for v.call(t, "whoami").Out != payroll { // by and by
					if t.Context().Err() != nil {
						t.Fatalf("%s does not recover", v.name)
					}
				}
			}
		})
	}
}

// TestStileIsStopped: a client that outlives stile says that nobody answers.
func TestStileIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shorten(short)
	server, metadata := serve(t, w, address), serve(t, w, "--imds", address)
	var running []*conversation
	for _, c := range clients(t) {
		running = append(running,
			talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+server.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+server.token(t))),
			talk(t, w, c, nil, append(w.base, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+metadata.url, "AWS_EC2_METADATA_DISABLED=false", "STEADY=1")))
	}
	for _, v := range running {
		v.is(t, w, payroll)
	}
	server.kill()
	metadata.stop()
	w.untilAllRefused(t)
	askAll(t, running)
	for i, v := range running {
		got := v.hear(t)
		if got.Error == "" || i%2 == 0 && !strings.Contains(got.Error, "refused") && !strings.Contains(got.Error, "Could not connect") {
			t.Errorf("%s says %+v, want that nobody answers", v.name, got)
		}
		w.quiet(t, got.Error)
	}
}

// TestBotocoreAsksStileNotSTS: to botocore what has less than 15 minutes left is
// stale, so that it asks for every call. stile answers with what it has.
func TestBotocoreAsksStileNotSTS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shorten(10 * time.Minute)
	server := serve(t, w, address)
	for _, c := range clients(t) {
		v := talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+server.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+server.token(t)))
		for range 3 {
			v.is(t, w, payroll)
		}
	}
	if n := w.sessions(); n != 1 {
		t.Errorf("%d sessions were made, want one for all calls", n)
	}
}
