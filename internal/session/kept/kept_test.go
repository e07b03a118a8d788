package kept_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session/kept"
	"github.com/stile-aws/stile/internal/session/shelf"
)

func dir(t *testing.T) string {
	t.Helper()
	d := filepath.Join(t.TempDir(), "runtime")
	if err := os.Mkdir(d, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d, "stile")
}

// mint makes credentials that are good for a while.
type mint struct {
	life  time.Duration
	err   error
	calls atomic.Int32
}

func (m *mint) Retrieve(context.Context) (aws.Credentials, error) {
	n := m.calls.Add(1)
	if m.err != nil {
		return aws.Credentials{}, m.err
	}
	return aws.Credentials{AccessKeyID: fmt.Sprint("ASIA", n), SecretAccessKey: "hush", SessionToken: "hush", CanExpire: true, Expires: time.Now().Add(m.life), AccountID: "111111111111"}, nil
}

func get(t *testing.T, p creds.Provider) string {
	t.Helper()
	c, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.AccessKeyID
}

func TestWhatOneFetchedOthersUse(t *testing.T) {
	d := dir(t)
	m := &mint{life: time.Hour}
	var wg sync.WaitGroup
	for range 20 { // each stands for a process
		wg.Go(func() {
			if got := get(t, kept.Open(d, "").Wrap(creds.From("x", m))); got != "ASIA1" {
				t.Errorf("got %s, want what the first fetched", got)
			}
		})
	}
	wg.Wait()
	if got := get(t, kept.Open(d, "").Wrap(creds.From("y", m))); got != "ASIA2" {
		t.Errorf("got %s for another request, want its own", got)
	}
	err := filepath.WalkDir(d, func(path string, e os.DirEntry, err error) error {
		if info, _ := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingShortIsGivenWhenMoreCanBeHad(t *testing.T) {
	store := kept.Open(dir(t), "")
	m := &mint{life: time.Hour}
	p := creds.From("x", m)
	old := aws.Credentials{AccessKeyID: "ASIAold", SecretAccessKey: "hush", CanExpire: true, Expires: time.Now().Add(14 * time.Minute)}
	if err := store.Put(p.Key(), old); err != nil {
		t.Fatal(err)
	}
	// It was fetched a moment ago: what lives 14 minutes gives no more.
	if got := get(t, store.Wrap(p)); got != "ASIAold" {
		t.Errorf("got %s, want what was just fetched", got)
	}
	e := kept.Entry{Credentials: old, Fetched: time.Now().Add(-2 * time.Minute)}
	if e.Good(time.Now()) || !e.Valid(time.Now()) {
		t.Errorf("good %v, valid %v two minutes later, want valid only", e.Good(time.Now()), e.Valid(time.Now()))
	}
}

func TestWhatIsAskedForAgainIsFetchedAnew(t *testing.T) {
	store := kept.Open(dir(t), "")
	m := &mint{life: time.Hour}
	p := store.Wrap(creds.From("x", m))
	if a, b := get(t, p), get(t, p); a != "ASIA1" || b != "ASIA2" {
		t.Errorf("got %s and %s, want two", a, b)
	}
	m.err = errors.New("no STS")
	if got := get(t, p); got != "ASIA2" {
		t.Errorf("got %s while STS is away, want what is valid", got)
	}
	if !p.(interface{ Invalidate(string) bool }).Invalidate("ASIA2") {
		t.Error("nothing was forgotten")
	}
	if _, err := p.Retrieve(t.Context()); !errors.Is(err, m.err) {
		t.Errorf("%v, want %v", err, m.err)
	}
}

func TestKeysThatLastForEverAreNotKept(t *testing.T) {
	d := dir(t)
	store := kept.Open(d, "")
	if err := store.Put("x", aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "hush"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := store.Get("x"); ok {
		t.Error("they are kept")
	}
	if _, err := os.Stat(d); err == nil {
		t.Error("something was written")
	}
}

func TestDirectoriesOthersSeeAreNotUsed(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir(t), link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", filepath.Join(open, "stile"), open, link} {
		store := kept.Open(d, "")
		if store.Shared() {
			t.Errorf("%q is used", d)
		}
		m := &mint{life: time.Hour}
		if a, b := get(t, store.Wrap(creds.From("x", m))), get(t, store.Wrap(creds.From("x", m))); a != b {
			t.Errorf("%q: within the process it is not shared", d)
		}
	}
}

func TestBrokenFilesAreNotThere(t *testing.T) {
	d := dir(t)
	store := kept.Open(d, "")
	m := &mint{life: time.Hour}
	get(t, store.Wrap(creds.From("x", m)))
	files, err := filepath.Glob(filepath.Join(d, "credentials", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, text := range []string{"", "{", `{"key":"another"}`, "null", "\x00"} {
		if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := store.Get(creds.From("x", m).Key()); ok {
			t.Errorf("%q is taken for credentials", text)
		}
	}
	store.Clear()
	if files, _ := filepath.Glob(filepath.Join(d, "credentials", "*")); len(files) > 0 {
		t.Errorf("%v is left", files)
	}
}

func TestNothingIsFoundInAnotherWorld(t *testing.T) {
	d, m := dir(t), &mint{life: time.Hour}
	p := creds.From("x", m)
	first, other := kept.Open(d, "one"), kept.Open(d, "other")
	a, b := get(t, first.Wrap(p)), get(t, other.Wrap(p))
	if a == b || get(t, kept.Open(d, "one").Wrap(p)) != a {
		t.Errorf("got %s and %s, want one's own in each", a, b)
	}
	first.SetAlias("name", shelf.Alias{Key: p.Key()})
	alias, ok := shelf.In(d).Alias("name")
	if c, found := shelf.In(d).Get(alias.Key); !ok || !found || c.AccessKeyID != a {
		t.Errorf("the name leads to %v, %t, %t, want %s", c, ok, found, a)
	}
	if !first.Forget(p.Key(), "") || get(t, other.Wrap(p)) != b {
		t.Error("forgetting in one world is to leave the other as it is")
	}
}

// A request that has changed is kept under another name, for ever if nobody swept.
func TestWhatHasLongEndedIsTakenAway(t *testing.T) {
	d := dir(t)
	store := kept.Open(d, "")
	m := &mint{life: time.Hour}
	age := func(file string, age time.Duration) {
		t.Helper()
		at := time.Now().Add(-age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, old := range []time.Duration{0, 47 * time.Hour, 49 * time.Hour} {
		name := fmt.Sprint("x", i)
		get(t, store.Wrap(creds.From(name, m)))
		store.SetAlias(name, shelf.Alias{Key: name})
		files := shelf.In(d)
		age(files.Aliases(name), old)
		age(files.Credentials(creds.From(name, m).Key()), old)
	}
	count := func() int {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(d, "[ac]*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	get(t, store.Wrap(creds.From("soon", m)))
	if n := count(); n != 7 {
		t.Errorf("%d files are left soon after a sweep, want all 7", n)
	}
	age(filepath.Join(d, "swept"), 2*time.Hour)
	get(t, store.Wrap(creds.From("later", m)))
	if n := count(); n != 6 {
		t.Errorf("%d files are left after the next, want 6", n)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	store := kept.Open(dir(t), "")
	m := &mint{life: time.Hour}
	p := store.Wrap(creds.From("x", m))
	get(t, p)
	e, ok := store.Get(p.Key())
	if !ok {
		t.Fatal("it is not kept")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb+verb, e, p); strings.Contains(text, "hush") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
