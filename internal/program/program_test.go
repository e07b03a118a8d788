package program_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/program"
	"github.com/stile-aws/stile/internal/surroundings"
)

// marker is in every answer, and may be in no error.
const marker = "XYZZYSECRET"

var answers = []struct {
	name, text string
	want       string // in the error; "" for none
}{
	{"credentials", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET","SessionToken":"t","Expiration":"2031-01-02T03:04:05Z","AccountId":"111111111111"}`, ""},
	{"keys that never end", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET"}` + "\n", ""},
	{"an offset without a colon", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET","Expiration":"2031-01-02T03:04:05+0000"}`, ""},
	{"what is null", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET","SessionToken":null,"Expiration":null}`, ""},
	{"other spellings and fields", `{"version":1,"accesskeyid":"AKIDX","secretAccessKey":"XYZZYSECRET","More":{"a":[1]}}`, ""},
	{"a version in quotes", `{"Version":"1","AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET"}`, `"Version" is not the number 1`},
	{"another version", `{"Version":2,"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET"}`, `"Version" is 2: want the number 1`},
	{"no version", `{"AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET"}`, `it has no "Version"`},
	{"no key", `{"Version":1,"SecretAccessKey":"XYZZYSECRET"}`, `it has no "AccessKeyId"`},
	{"no secret", `{"Version":1,"AccessKeyId":"XYZZYSECRET"}`, `it has no "SecretAccessKey"`},
	{"a number for a secret", `{"Version":1,"AccessKeyId":"XYZZYSECRET","SecretAccessKey":5}`, `"SecretAccessKey" is no string`},
	{"no time", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"x","Expiration":"XYZZYSECRET"}`, `"Expiration" is no time`},
	{"a list", `["XYZZYSECRET"]`, "it is no JSON object"},
	{"text", `AccessKeyId: XYZZYSECRET`, "it is not the JSON of a credential_process: byte 1 of 24 does not belong there"},
	{"half of it", `{"Version":1,"SecretAccessKey":"XYZZYSECRET`, "it is not the JSON of a credential_process"},
	{"more than it", `{"Version":1} XYZZYSECRET`, "byte 15 of 25"},
	{"nothing", ``, "it is empty"},
}

func TestAnswersAreReadAndNeverQuoted(t *testing.T) {
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			c, err := program.Parse([]byte(test.text))
			if test.want == "" {
				if err != nil || c.AccessKeyID != "AKIDX" || c.SecretAccessKey != marker || c.Source != processcreds.ProviderName || c.CanExpire != strings.Contains(test.text, "2031") {
					t.Errorf("%v, %v", c.AccessKeyID, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), marker) {
				t.Errorf("Parse = %v, want %q", err, test.want)
			}
		})
	}
}

// What AWS's SDK for Go takes is taken, and read as the same.
func TestAnswersAreReadAsTheSDKReadsThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answer")
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			want, err := processcreds.NewProvider("cat " + file).Retrieve(t.Context())
			if err != nil {
				return
			}
			got, err := program.Parse([]byte(test.text))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-SDK +ours):\n%s", err, diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, test := range answers {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "XYZZYSECRE", marker)
		c, err := program.Parse([]byte(text))
		if (err == nil) != c.HasKeys() || err != nil && strings.Contains(err.Error(), marker) {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	})
}

func TestRunningProgramsTellsNothingOfWhatTheyPrint(t *testing.T) {
	over, stop := context.WithTimeoutCause(t.Context(), 0, errors.New("no time left"))
	defer stop()
	tests := []struct {
		name, command string
		ctx           context.Context
		want          string
	}{
		{"it fails", "echo XYZZYSECRET; exit 3", t.Context(), "running the program of source a: it ended with exit status 3"},
		{"it is killed", "echo XYZZYSECRET; kill -9 $$", t.Context(), "it ended with signal: killed"},
		{"it is not there", "/no/such/program XYZZY", t.Context(), "it ended with exit status 127"},
		{"it prints without end", "yes XYZZYSECRET", t.Context(), "it prints more than"},
		{"time is up", "echo XYZZYSECRET; exec sleep 100", over, "no time left"},
		{"nothing to run", " ", t.Context(), "its command line is empty"},
		{"it prints nonsense", "echo XYZZYSECRET", t.Context(), "reading what the program of source a prints: it is not the JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := program.New(test.command, "source a")
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Provider().Retrieve(test.ctx)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), marker) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// What a program leaves behind with its output open is not waited for, and what it
// has said itself is taken.
func TestWhatIsLeftBehindIsNotWaitedFor(t *testing.T) {
	p, err := program.New(`sleep 4 2>/dev/null & echo '{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"x"}'`, "source a")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := p.Provider().Retrieve(t.Context()); err != nil || c.AccessKeyID != "AKIDX" {
		t.Errorf("%v, %v", c.AccessKeyID, err)
	}
}

// A program knows what runs above it, so that the stile it calls does.
func TestCirclesAreSeen(t *testing.T) {
	inside := func(command, of string) string {
		t.Helper()
		p, err := program.New(command+`; printf %s "$STILE_BROKER $STILE_CREDENTIAL_PROCESS"`, of)
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.Output(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mark, ok := strings.CutPrefix(string(text), "off ")
		if !ok {
			t.Fatalf("got %q, want no broker asked", text)
		}
		return mark
	}
	t.Setenv(surroundings.InsideEnv, "")
	t.Setenv(surroundings.InsideEnv, inside("true a", "AWS profile a"))
	t.Setenv(surroundings.InsideEnv, inside("true b", "AWS profile b"))
	again := func(command, of string) error {
		_, err := program.New(command+`; printf %s "$STILE_BROKER $STILE_CREDENTIAL_PROCESS"`, of)
		return err
	}
	var circle *program.CircleError
	if err := again("true a", "AWS profile a"); !errors.As(err, &circle) || cmp.Diff([]string{"AWS profile a", "AWS profile b", "AWS profile a"}, circle.Names) != "" {
		t.Errorf("a in b in a: %v", err)
	}
	if err := again("true b", "AWS profile b"); !errors.As(err, &circle) || cmp.Diff([]string{"AWS profile b", "AWS profile b"}, circle.Names) != "" {
		t.Errorf("b in b: %v", err)
	}
	if err := again("true c", "AWS profile c"); err != nil {
		t.Errorf("c in b: %v, want none", err)
	}
}

// The SDK's configuration runs its profile's program by this package, whichever
// profile it is of and whatever roles follow.
func TestTheSDKsProfilesAreRunHere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := write("bad", `{"Version":"1","AccessKeyId":"AKIDX","SecretAccessKey":"XYZZYSECRET"}`)
	good := write("good", `{"Version":1,"AccessKeyId":"AKIDX","SecretAccessKey":"x"}`)
	t.Setenv("AWS_CONFIG_FILE", write("config", "[profile good]\ncredential_process = cat "+good+
		"\n[profile bad]\ncredential_process = cat "+bad+
		"\n[profile role]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = bad"+
		"\n[profile keys]\naws_access_key_id = AKIDK\naws_secret_access_key = x\ncredential_process = cat "+bad+"\n"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write("credentials", ""))
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	tests := []struct {
		profile, key string
		want         string // in the error
	}{
		{"good", "AKIDX", ""},
		{"bad", "", `reading what the program of AWS profile bad prints: "Version" is not the number 1`},
		{"role", "", `reading what the program of AWS profile bad prints: "Version" is not the number 1`},
		{"keys", "AKIDK", ""},
	}
	for _, test := range tests {
		for _, by := range []string{"the environment", "its name"} {
			t.Run(test.profile+" by "+by, func(t *testing.T) {
				options := []func(*config.LoadOptions) error{config.WithRegion("us-east-1")}
				if by == "its name" {
					options = append(options, config.WithSharedConfigProfile(test.profile))
				} else {
					t.Setenv("AWS_PROFILE", test.profile)
				}
				cfg, err := config.LoadDefaultConfig(t.Context(), options...)
				if err == nil {
					err = program.Own(&cfg)
				}
				if err != nil {
					t.Fatal(err)
				}
				c, err := cfg.Credentials.Retrieve(t.Context())
				if c.AccessKeyID != test.key || (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), marker)) {
					t.Errorf("%q, %v, want %q", c.AccessKeyID, err, test.want)
				}
			})
		}
	}
}

func TestTimesAreRead(t *testing.T) {
	c, err := program.Parse([]byte(answers[0].text))
	if want := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC); err != nil || !c.CanExpire || !c.Expires.Equal(want) {
		t.Errorf("%v, %v, want %v", c.Expires, err, want)
	}
}
