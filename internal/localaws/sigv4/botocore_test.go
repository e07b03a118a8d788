package sigv4_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/machine"
)

// recorded is what testdata/sign.py prints.
type recorded struct {
	Botocore string
	Requests []struct {
		Name, Service, Method, URL string
		Headers                    map[string]string
		Body                       []byte
	}
}

func verifyRecorded(t *testing.T, data []byte) {
	t.Helper()
	var rec recorded
	if err := json.Unmarshal(data, &rec); err != nil {
		t.Fatal(err)
	}
	if len(rec.Requests) < 9 {
		t.Fatalf("got %d requests, want all that sign.py signs", len(rec.Requests))
	}
	for _, c := range rec.Requests {
		t.Run(c.Name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.Method, c.URL, strings.NewReader(string(c.Body)))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.Headers {
				r.Header.Set(k, v)
			}
			r = overTheWire(t, r, string(c.Body))
			scope, err := verify(r, string(c.Body), instant())
			if err != nil || scope.Service != c.Service {
				t.Errorf("Verify of a request signed by botocore %s = %+v, %v", rec.Botocore, scope, err)
			}
			_, err = verify(r, string(c.Body)+"x", instant())
			if err == nil && !unsignedBody(r) {
				t.Error("Verify accepted another body")
			}
		})
	}
}

func TestVerifyAcceptsWhatBotocoreSigned(t *testing.T) {
	data, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	verifyRecorded(t, data)
}

// withBotocore finds a python3 that has botocore: the one on the PATH, or Debian's.
func withBotocore(t *testing.T) string {
	t.Helper()
	var err error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if err = exec.CommandContext(t.Context(), python, "-c", "import botocore").Run(); err == nil {
			return python
		}
	}
	machine.Needs(t, "python3 with botocore", err) // else see TestVerifyAcceptsWhatBotocoreSigned
	return ""
}

// TestVerifyAcceptsWhatBotocoreSignsHere does the same with the installed
// botocore; the recorded requests stand in where there is none.
func TestVerifyAcceptsWhatBotocoreSignsHere(t *testing.T) {
	python := withBotocore(t)
	data, err := exec.CommandContext(t.Context(), python, "testdata/sign.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	verifyRecorded(t, data)
}
