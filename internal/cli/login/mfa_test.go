package login_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// codes has dana's program print two codes that were not used, one after the other,
// and then the last one again.
func codes(t *testing.T, w *logintest.World, seed string) (first, second string) {
	t.Helper()
	world := w.Server.World()
	if err := world.Advance(4 * mfa.Step); err != nil {
		t.Fatal(err)
	}
	var codes [2]string
	for i := range codes {
		var err error
		if codes[i], err = mfa.TOTP(seed, world.Now().Add(time.Duration(i)*mfa.Step)); err != nil {
			t.Fatal(err)
		}
	}
	w.Write(t, "codes", codes[0]+"\n"+codes[1]+"\n")
	w.Write(t, "code", fmt.Sprintf("cd %s; echo asked >>questions; head -n $(wc -l <questions) codes | tail -n 1", w.Dir))
	return codes[0], codes[1]
}

// long lets the role work of account 1 last twelve hours, and adds the session work.
func long(t *testing.T, w *logintest.World, flags ...string) {
	t.Helper()
	if _, err := w.IAM(logintest.Account(1)).UpdateRole(t.Context(), &iam.UpdateRoleInput{RoleName: aws.String("work"), MaxSessionDuration: aws.Int32(43200)}); err != nil {
		t.Fatal(err)
	}
	silent(t, w, append([]string{"sessions", "add", "work", "--source", "dana", "--account", string(logintest.Account(1)), "--role", "work"}, flags...)...)
}

// lasts is how long the credentials of an address last at the local AWS.
func lasts(t *testing.T, w *logintest.World, address string) time.Duration {
	t.Helper()
	r := w.Stile(t, nil, "credential-process", address)
	var out struct{ Expiration time.Time }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Code != 0 {
		t.Fatalf("exit %d, %v, %s", r.Code, err, r.Stderr)
	}
	return out.Expiration.Sub(w.Server.World().Now()).Round(2 * time.Minute)
}

// silent fails unless the command succeeds and says nothing beside its results.
func silent(t *testing.T, w *logintest.World, args ...string) routetest.Result {
	t.Helper()
	r := w.Stile(t, nil, args...)
	if r.Code != 0 || r.Stderr != "" {
		t.Errorf("stile %s: exit %d, %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return r
}

// An hour is what a role lasts that is entered from an MFA session. A session that is
// to last longer does, by one code of its own; so does its console.
func TestALongSessionTakesOneCodeOfItsOwn(t *testing.T) {
	for _, way := range []string{"locks", "broker"} {
		t.Run(way, func(t *testing.T) {
			w := logintest.New(t)
			if way == "broker" {
				w.WithBroker(t)
			}
			codes(t, w, w.Dana(t))
			id := string(logintest.Account(1))
			long(t, w)
			says(t, w, words("whoami work"), "assumed-role/work/dana")
			if got := lasts(t, w, "work"); got != time.Hour || w.Questions(t) != 1 {
				t.Errorf("it lasts %s after %d questions, want an hour and one", got, w.Questions(t))
			}
			says(t, w, words("console --print --duration 12h work"), "--duration is left off", "SigninToken=")

			silent(t, w, "sessions", "edit", "work", "--duration", "4h")
			says(t, w, words("explain-credential work"), "lasts 4h0m0s", "one code for this role alone")
			says(t, w, words("whoami work"), "assumed-role/work/dana")
			if got := lasts(t, w, "work"); got != 4*time.Hour || w.Questions(t) != 2 {
				t.Errorf("it lasts %s after %d questions, want 4h and two", got, w.Questions(t))
			}
			if r := silent(t, w, "console", "--print", "--duration", "12h", "work"); !strings.Contains(r.Stdout, "SigninToken=") {
				t.Errorf("the console's page: %s", r.Stdout)
			}
			says(t, w, words("whoami dana:"+id+"/look"), "assumed-role/look/dana")
			if got := w.Since(); got["GetSessionToken"] != 1 || w.Questions(t) != 2 {
				t.Errorf("%d MFA sessions and %d questions, want one and two", got["GetSessionToken"], w.Questions(t))
			}
		})
	}
}

func TestALongSessionThatCannotLastIsSaid(t *testing.T) {
	w := logintest.New(t)
	codes(t, w, w.Dana(t))
	id := string(logintest.Account(1))
	silent(t, w, "sessions", "add", "work", "--source", "dana", "--account", id, "--role", "work", "--duration", "4h")
	w.Stile(t, nil, "whoami", "work").Refused(t, "the role lasts less than was asked for (stile sessions edit NAME --duration asks for less)")
	r := w.Stile(t, nil, "sessions", "edit", "work", "--via", filepath.Join(id, "look"))
	if r.Code != 0 || !strings.Contains(r.Stderr, "session work: AWS lets a role that another enters last an hour") {
		t.Errorf("exit %d, %s, want why it will not last", r.Code, r.Stderr)
	}
}

func TestAHerdOfALongSessionAsksOnce(t *testing.T) {
	for _, way := range []string{"locks", "broker"} {
		t.Run(way, func(t *testing.T) {
			w := logintest.New(t)
			if way == "broker" {
				w.WithBroker(t)
			}
			codes(t, w, w.Dana(t))
			long(t, w, "--duration", "4h")
			w.Since()
			addresses := slices.Repeat([]string{"work"}, 10)
			if n := logintest.Succeeded(t, addresses, w.Herd(t, addresses)); n != 1 {
				t.Errorf("%d addresses", n)
			}
			if got := w.Since(); got["AssumeRole"] != 1 || got["GetSessionToken"] != 0 || w.Questions(t) != 1 {
				t.Errorf("%v calls and %d questions, want one AssumeRole, no MFA session and one", got, w.Questions(t))
			}
		})
	}
}

// Without somebody to ask it says what to run; at the terminal the prompt says what
// the code is for.
func TestThePersonIsAskedForTheCodeOfALongSession(t *testing.T) {
	for _, way := range []string{"locks", "broker"} {
		t.Run(way, func(t *testing.T) {
			w := logintest.New(t)
			if way == "broker" {
				w.WithBroker(t)
			}
			first, second := codes(t, w, w.Dana(t))
			long(t, w, "--duration", "4h")
			book := filepath.Join(w.Dir, ".config/stile/sessions.yaml")
			text, err := os.ReadFile(book)
			if err != nil {
				t.Fatal(err)
			}
			prompted := regexp.MustCompile(`code: program\n *program: .*\n`).ReplaceAllString(string(text), "code: prompt\n")
			w.Write(t, ".config/stile/sessions.yaml", prompted)
			w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "work").Refused(t, "takes an MFA code of its own: run stile whoami work at a terminal")
			w.Stile(t, nil, "credential-process", "work").Refused(t, "stile whoami work at a terminal asks for it") // there is none
			code, said := converse(t, atTerminal(t, w, "BROWSER=/bin/false", "whoami", "work"), once("MFA code of dana for session work alone (dana): ", first))
			if code != 0 || !strings.Contains(said, "assumed-role/work/dana") {
				t.Errorf("exit %d, %s", code, said)
			}
			if got := lasts(t, w, "work"); got != 4*time.Hour {
				t.Errorf("it lasts %s, want 4h", got)
			}
			// The code is used: the MFA session takes another.
			code, said = converse(t, atTerminal(t, w, "BROWSER=/bin/false", "login", "dana"),
				once("MFA code of dana (dana): ", first), once("AWS does not take this code; each is good once, so wait for the next. MFA code of dana (dana): ", second))
			if code != 0 || !strings.Contains(said, "signed in to dana") {
				t.Errorf("exit %d, %s", code, said)
			}
		})
	}
}
