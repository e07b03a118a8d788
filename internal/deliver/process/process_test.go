package process_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"

	"github.com/stile-aws/stile/internal/deliver/process"
)

var session = aws.Credentials{
	AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "se/cr+et<&>", SessionToken: "to/ken==", AccountID: "222222222222",
	CanExpire: true, Expires: time.Date(2026, 11, 22, 11, 0, 5, 7, time.FixedZone("CET", 3600)),
}

func TestWrite(t *testing.T) {
	for _, c := range []struct {
		name string
		in   aws.Credentials
		want string
	}{
		{"a session", session, `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"se/cr+et\u003c\u0026\u003e","SessionToken":"to/ken==","Expiration":"2026-11-22T10:00:05Z","AccountId":"222222222222"}` + "\n"},
		{"long-term credentials", aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "s"}, `{"Version":1,"AccessKeyId":"AKIAEXAMPLE","SecretAccessKey":"s"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := process.Write(&out, c.in); err != nil || out.String() != c.want {
				t.Errorf("Write = %v, %s, want %s", err, out.String(), c.want)
			}
		})
	}
}

func TestNoCredentialsWriteNothing(t *testing.T) {
	var out bytes.Buffer
	if err := process.Write(&out, aws.Credentials{AccessKeyID: "ASIAEXAMPLE"}); err == nil || out.Len() != 0 {
		t.Errorf("Write = %v and %q, want an error and nothing", err, out.String())
	}
	closed := errors.New("closed pipe")
	if err := process.Write(failing{closed}, session); !errors.Is(err, closed) {
		t.Errorf("Write to a closed pipe = %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// The SDK's own reader of credential_process understands every field.
func TestTheSDKReadsWhatIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.json")
	var out bytes.Buffer
	if err := process.Write(&out, session); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := processcreds.NewProvider("cat " + file).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := session
	want.Source, want.Expires = got.Source, session.Expires.Truncate(time.Second).UTC()
	if !got.Expires.Equal(want.Expires) {
		t.Errorf("Expires = %s, want %s", got.Expires, want.Expires)
	}
	got.Expires = want.Expires
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
