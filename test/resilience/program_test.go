package resilience_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

// A profile whose program asks stile for that profile, or for one that leads back to
// it, is an error at once that names the circle, whoever runs the program.
func TestCirclesOfProgramsAreToldAtOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		w.Write(t, ".aws/config", "[profile self]\ncredential_process = stile credential-process self\n"+
			"[profile one]\ncredential_process = stile credential-process two\n[profile two]\ncredential_process = stile credential-process one\n"+
			"[profile role]\nrole_arn = arn:aws:iam::"+string(logintest.Account(1))+":role/work\nsource_profile = one\n")
		w.Stile(t, nil, "sessions", "add", "own", "--process", "stile credential-process own").Want(t, "")
		tests := []struct {
			name string
			env  []string
			args []string
			want string
		}{
			{"a profile by itself", nil, []string{"whoami", "self"}, "AWS profile self > AWS profile self"},
			{"a profile in use", []string{"AWS_PROFILE=self"}, []string{"whoami"}, "AWS profile self > AWS profile self"},
			{"two profiles", nil, []string{"credential-process", "one"}, "AWS profile one > AWS profile two > AWS profile one"},
			{"before a role", nil, []string{"exec", "role", "--", "true"}, "AWS profile one > AWS profile two > AWS profile one"},
			{"a source", nil, []string{"env", "own"}, "source own > source own"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				r := w.Stile(t, test.env, test.args...)
				if r.Code != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, "gets its credentials from this command itself ("+test.want+")") {
					t.Errorf("exit %d, %q, %s, want %q", r.Code, r.Stdout, r.Stderr, test.want)
				}
			})
		}
	})
}

// Keys without an end are those that the program prints, to every command.
func TestKeysWithoutAnEndAreThoseOfTheMoment(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		print := func(key string) {
			w.Write(t, "keys", `{"Version":1,"AccessKeyId":"`+key+`","SecretAccessKey":"x"}`)
		}
		file := w.Write(t, "keys", "")
		w.Stile(t, nil, "sessions", "add", "vendor", "--process", "cat "+file).Want(t, "")
		shown := func(args ...string) string {
			t.Helper()
			r := w.Stile(t, nil, args...)
			if r.Code != 0 {
				t.Errorf("%s: exit %d: %s", args[0], r.Code, r.Stderr)
			}
			return r.Stdout
		}
		print("AKIDONE")
		if got := shown("credential-process", "vendor"); !strings.Contains(got, `"AKIDONE"`) || strings.Contains(got, "Expiration") {
			t.Errorf("got %s", got)
		}
		print("AKIDTWO")
		until(t, "the new key", func() bool { return strings.Contains(shown("credential-process", "vendor"), "AKIDTWO") })
		if got := shown("exec", "vendor", "--env", "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"); got != "AKIDTWO\n" {
			t.Errorf("exec gives %s", got)
		}
		if got := shown("env", "vendor", "--format", "bash"); !strings.Contains(got, "AKIDTWO") {
			t.Errorf("env gives %s", got)
		}
	})
}
