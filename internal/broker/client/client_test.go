package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/broker/client"
)

func FuzzRead(f *testing.F) {
	for _, message := range []any{
		client.Request{Protocol: 1, Do: client.DoGet, Address: "a/b", Options: []byte(`{"As":"x"}`)},
		client.Reply{Grant: &client.Grant{AccessKeyID: "ASIA", SecretAccessKey: "s"}},
		client.Reply{Refusal: &client.Refusal{Text: "no"}},
	} {
		var b bytes.Buffer
		if err := client.Write(&b, message); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, in []byte) {
		var a, b client.Reply
		if client.Read(bytes.NewReader(in), &a) != nil {
			return
		}
		var out bytes.Buffer
		if err := client.Write(&out, a); err != nil {
			return // escaping made it too long
		}
		if err := client.Read(&out, &b); err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		var again bytes.Buffer
		if err := client.Write(&again, b); err != nil {
			t.Fatal(err)
		}
		if err := client.Write(&out, a); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Errorf("a message changes when it is read and written: %q, %q", out.Bytes(), again.Bytes())
		}
	})
}

func TestErrorsOfMessagesHoldNothingOfThem(t *testing.T) {
	text := `{"Grant": "wJalrXUtnFEMI"}`
	in := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	if err := client.Read(bytes.NewReader(in), &client.Reply{}); err == nil || strings.Contains(err.Error(), "wJalr") {
		t.Errorf("Read = %v", err)
	}
	if err := client.Read(bytes.NewReader([]byte{0xff, 0, 0, 0}), &client.Reply{}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("Read of a message that is too long = %v", err)
	}
}

func TestDeciding(t *testing.T) {
	got := client.Deciding([]string{
		"PATH=/bin", "XDG_SESSION_ID=4", "AWS_PROFILE=a", "STILE_BROKER=off", "HTTPS_PROXY=http://p", "AWS_PAGER=less", "AWS_MAX_ATTEMPTS=9", "AWS_RETRY_MODE=standard", "AWS_VAULT=x", "AWS_ENDPOINT_URL_S3=http://s3", "AWS_SESSION_EXPIRATION=later", "HOME=/h", "STILE_NO_LOGIN=1",
	})
	if diff := cmp.Diff([]string{"AWS_PROFILE=a", "HOME=/h", "HTTPS_PROXY=http://p", "STILE_NO_LOGIN=1"}, got); diff != "" {
		t.Errorf("Deciding (-want +got):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	runtime := t.TempDir()
	for _, c := range []struct {
		name    string
		environ []string
		dir     string // "" for an error
	}{
		{"the runtime directory", []string{"XDG_RUNTIME_DIR=" + runtime}, filepath.Join(runtime, "stile")},
		{"none", nil, fmt.Sprintf("/tmp/stile-%d", os.Getuid())},
		{"one that is relative", []string{"XDG_RUNTIME_DIR=run"}, fmt.Sprintf("/tmp/stile-%d", os.Getuid())},
		{"one that is not there", []string{"XDG_RUNTIME_DIR=/none"}, fmt.Sprintf("/tmp/stile-%d", os.Getuid())},
		{"a relative config file", []string{"XDG_RUNTIME_DIR=" + runtime, "AWS_CONFIG_FILE=config"}, ""},
		{"within stile exec", []string{"XDG_RUNTIME_DIR=" + runtime, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := client.Find(c.environ)
			switch {
			case c.dir == "" && !errors.Is(err, client.ErrUnavailable):
				t.Errorf("Find = %v, %v, want ErrUnavailable", p, err)
			case c.dir != "" && (err != nil || p.Dir != c.dir || len(p.Socket) > 103):
				t.Errorf("Find = %v, %v, want %s", p, err, c.dir)
			}
		})
	}
}

// A broker runs programs that are named without a directory: those of who asks.
func TestBrokersArePerPath(t *testing.T) {
	runtime := "XDG_RUNTIME_DIR=" + t.TempDir()
	find := func(more ...string) *client.Place {
		t.Helper()
		p, err := client.Find(append([]string{runtime, "HOME=/h"}, more...))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, same, other := find("PATH=/good:/bin"), find("UNRELATED=1", "PATH=/good:/bin"), find("PATH=/evil:/bin")
	if one.Socket != same.Socket {
		t.Errorf("one PATH has two brokers, at %s and %s", one.Socket, same.Socket)
	}
	if one.Socket == other.Socket || one.Lock == other.Lock || one.Queue == other.Queue {
		t.Errorf("two PATHs have one broker, at %s", one.Socket)
	}
	if a, b := one.SignIns().Socket, other.SignIns().Socket; a != b {
		t.Errorf("sign-ins are at %s and at %s, want one page for both", a, b)
	}
	if one.SignIns().Socket == find("PATH=/good:/bin", "AWS_PROFILE=x").SignIns().Socket {
		t.Error("sign-ins of two environments are one")
	}
}

func TestAPathThatIsTooLongIsNotUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if p, err := client.Find([]string{"XDG_RUNTIME_DIR=" + dir}); err != nil || strings.HasPrefix(p.Socket, dir) {
		t.Errorf("Find = %v, %v", p, err)
	}
}

func TestDirectoriesThatOthersMayReadAreRefused(t *testing.T) {
	runtime := t.TempDir()
	dir := filepath.Join(runtime, "stile")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Find([]string{"XDG_RUNTIME_DIR=" + runtime}); !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Find = %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Find([]string{"XDG_RUNTIME_DIR=" + runtime}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("Find through a link = %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	c, err := client.New([]string{"XDG_RUNTIME_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), client.Request{Address: "a/b"}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("Get = %v, want ErrUnavailable", err)
	}
	if _, err := client.New([]string{"STILE_BROKER=off"}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("New = %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, client.Request{Address: "a/b"}); err == nil {
		t.Error("Get of a cancelled context succeeded")
	}
}
