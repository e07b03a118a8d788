package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
)

const account arn.AccountID = "111111111111"

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, opt store.Options) *store.World {
	t.Helper()
	w, err := store.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	w.Lock()
	defer w.Unlock()
	if w.Accounts[account] == nil {
		if _, err := w.AddAccount(account, "one", ""); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Whatever is put, At sees the newest version that is not younger than the
// time asked for, and old values never change.
func TestVersionedSeesThePastAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v store.Versioned[store.Role]
		type put struct {
			at      time.Time
			session time.Duration // 0: deleted
		}
		var puts []put
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "puts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "wait")) * time.Second)
			if rapid.Bool().Draw(t, "delete") {
				v.Put(now, nil)
				puts = append(puts, put{now, 0})
				continue
			}
			d := time.Duration(rapid.IntRange(1, 100).Draw(t, "value"))
			v.Edit(now, func(r *store.Role) { r.MaxSession = d })
			puts = append(puts, put{now, d})
		}
		ask := epoch.Add(time.Duration(rapid.IntRange(-5, 1300).Draw(t, "ask")) * time.Second)
		want := time.Duration(0)
		for _, p := range puts {
			if !p.at.After(ask) {
				want = p.session
			}
		}
		got := time.Duration(0)
		if r := v.At(ask); r != nil {
			got = r.MaxSession
		}
		if got != want {
			t.Fatalf("At(%v) = %v, want %v", ask, got, want)
		}
	})
}

func TestEditCopiesWhatTheRecordHolds(t *testing.T) {
	v := store.NewVersioned(epoch, &store.Role{Entity: store.Entity{Tags: store.Tags{"a": "1"}, Attached: []string{"x"}, Inline: map[string]string{"p": "{}"}}})
	before := v.Latest()
	v.Edit(epoch.Add(time.Second), func(r *store.Role) {
		r.Tags["a"] = "2"
		r.Attached[0] = "y"
		delete(r.Inline, "p")
	})
	if before.Tags["a"] != "1" || before.Attached[0] != "x" || len(before.Inline) != 1 {
		t.Errorf("the old version changed: %+v", before)
	}
	if now := v.Latest(); now.Tags["a"] != "2" || now.Attached[0] != "y" || len(now.Inline) != 0 {
		t.Errorf("the new version: %+v", now)
	}
}

func TestVersionedSurvivesJSON(t *testing.T) {
	v := store.NewVersioned(epoch, &store.User{Entity: store.Entity{Name: "u", ID: "AIDA1"}})
	v.Put(epoch.Add(time.Minute), nil)
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back store.Versioned[store.User]
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.Latest() != nil || back.At(epoch) == nil || back.At(epoch).ID != "AIDA1" {
		t.Errorf("after the round trip of %s: %+v, %+v", data, back.Latest(), back.At(epoch))
	}
}

func TestSweepForgetsWhatIsLongGone(t *testing.T) {
	gone, recent, live := store.NewVersioned(epoch, &store.Group{}), store.NewVersioned(epoch, &store.Group{}), store.NewVersioned(epoch, &store.Group{})
	gone.Put(epoch, nil)
	now := epoch.Add(3 * time.Hour)
	recent.Put(now.Add(-time.Minute), nil)
	m := map[string]*store.Versioned[store.Group]{"gone": gone, "recent": recent, "live": live}
	store.Sweep(m, now)
	if len(m) != 2 || m["gone"] != nil {
		t.Errorf("left: %v", m)
	}
}

func TestHorizonNeverGoesBack(t *testing.T) {
	clock := store.NewManualClock(epoch)
	w := newWorld(t, store.Options{Clock: clock})
	horizon := func() time.Time {
		w.RLock()
		defer w.RUnlock()
		return w.Horizon(account)
	}
	if !horizon().Equal(epoch) {
		t.Errorf("without delay: %v", horizon())
	}
	w.SetDelay("", time.Minute)
	if !horizon().Equal(epoch) {
		t.Errorf("what was seen when the delay was set is hidden: %v", horizon())
	}
	clock.Advance(90 * time.Second)
	if got := horizon().Sub(epoch); got.Round(time.Second) != 30*time.Second {
		t.Errorf("90 s later the horizon is at +%v", got)
	}
	w.SetDelay(account, 0)
	if got := horizon().Sub(epoch); got.Round(time.Second) != 90*time.Second {
		t.Errorf("with a delay of its own of 0: +%v", got)
	}
}

func TestIDsHaveAWSsForms(t *testing.T) {
	w := newWorld(t, store.Options{Seed: 3})
	ids := w.IDs()
	for form, got := range map[string]string{"AROA": ids.Unique(store.PrefixRole), "ANPA": ids.Unique(store.PrefixPolicy)} {
		if len(got) != 21 || !strings.HasPrefix(got, form) || got != strings.ToUpper(got) {
			t.Errorf("unique id %q", got)
		}
	}
	if s := ids.Secret(); len(s) != 40 {
		t.Errorf("secret of %d characters", len(s))
	}
	if u := ids.UUID(); len(u) != 36 || u[14] != '4' {
		t.Errorf("UUID %q", u)
	}
	if s := ids.Lower(10) + ids.Mixed(6) + ids.Hex(9); len(s) != 25 {
		t.Errorf("%q", s)
	}
}

func TestAccessKeysCarryTheirAccount(t *testing.T) {
	w := newWorld(t, store.Options{})
	rapid.Check(t, func(t *rapid.T) {
		id := arn.AccountID(rapid.StringMatching(`[0-9]{12}`).Draw(t, "account"))
		key := w.IDs().AccessKey(store.PrefixAccessKey, id)
		if got, ok := store.AccountOfKey(key); !ok || got != id || len(key) != 20 {
			t.Fatalf("AccountOfKey(%q) = %q, %v, want %q", key, got, ok, id)
		}
	})
	// A key published with its account (the AWS re:Post and security research
	// on access key ids).
	if got, ok := store.AccountOfKey("ASIAQNZGKIQY56JQ7WML"); !ok || got != "029608264753" {
		t.Errorf("AccountOfKey of a real key = %q, %v", got, ok)
	}
	for _, bad := range []string{"", "AKIA", "AKIA1111111111111111"} {
		if got, ok := store.AccountOfKey(bad); ok {
			t.Errorf("AccountOfKey(%q) = %q", bad, got)
		}
	}
}

func TestSealedSessionsOpenForTheirKeyAlone(t *testing.T) {
	w := newWorld(t, store.Options{})
	s := &store.Session{AccessKey: "ASIA1", Secret: "s", Kind: store.AssumedRole, Account: account, Entity: "AROA1", Name: "n",
		Issued: epoch, Expires: epoch.Add(time.Hour), Tags: map[string]string{"a": "b"}, Transitive: []string{"a"}}
	token, err := w.Seal(s)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		if diff := cmp.Diff(s, w.Open("ASIA1", token)); diff != "" {
			t.Error(diff)
		}
		if got := w.Open("ASIA2", token); got != nil {
			t.Errorf("opened for another key: %+v", got)
		}
	}
	if strings.Contains(token, "AROA1") || w.Open("ASIA1", token+"x") != nil || w.Open("ASIA1", "") != nil {
		t.Error("the token is readable or forgeable")
	}
	if other := newWorld(t, store.Options{}); other.Open("ASIA1", token) != nil {
		t.Error("another world opens the token")
	}
}

func TestCanonicalKeepsTheTextAroundPrincipals(t *testing.T) {
	w := newWorld(t, store.Options{Clock: store.NewManualClock(epoch)})
	w.Lock()
	id := w.NewPrincipal(account, "role", "hub")
	w.Accounts[account].IAM.Roles["hub"] = store.NewVersioned(epoch, &store.Role{Entity: store.Entity{Name: "hub", Path: "/ci/", ID: id}})
	w.Unlock()
	const text = `{
  "Version": "2012-10-17",
  "Statement": [ {"Effect":"Allow", "Principal": {"AWS": ["arn:aws:iam::111111111111:role/ci/hub", "111111111111"], "Service": "ec2.amazonaws.com",
    "Federated": "arn:aws:iam::111111111111:oidc-provider/x.example"}, "Action": "sts:AssumeRole"},
    {"Effect":"Deny", "NotPrincipal": {"AWS":"arn:aws:sts::111111111111:assumed-role/hub/s"}, "Action":"sts:AssumeRole"} ]
}`
	stored, err := w.Canonical(text)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(`"arn:aws:iam::111111111111:role/ci/hub"`, `"`+id+`"`, `"111111111111"`, `"arn:aws:iam::111111111111:root"`).Replace(text)
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(strings.ReplaceAll(stored, id, "arn:aws:iam::111111111111:role/ci/hub"), w.Present(stored)); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{"AWS":"arn:aws:iam::111111111111:role/hub"}`, // without its path
		`{"AWS":"arn:aws:iam::111111111111:role/ci/HUB"}`,
		`{"AWS":"arn:aws:iam::111111111111:user/hub"}`,
		`{"AWS":"arn:aws:sts::111111111111:assumed-role/none/s"}`,
		`{"AWS":"arn:aws:iam::111111111111:group/g"}`,
		`{"AWS":"arn:aws-cn:iam::111111111111:root"}`,
		`{"AWS":"AROAAAAAAAAAAAAAAAAAA"}`, `{"AWS":"somebody"}`,
		`{"Service":"*"}`, `{"Federated":"arn:aws:iam::111111111111:role/ci/hub"}`,
	} {
		_, err := w.Canonical(`{"Statement":{"Effect":"Allow","Principal":` + bad + `,"Action":"sts:AssumeRole"}}`)
		if err == nil || !strings.Contains(err.Error(), "Invalid principal in policy: ") {
			t.Errorf("Canonical with %s: %v", bad, err)
		}
	}
}

func TestStateIsWrittenWhole(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "state.json")
	w := newWorld(t, store.Options{Seed: 5, File: file})
	w.Lock()
	w.AddAdministrator(account, epoch)
	w.Unlock()
	first := w.IDs().UUID()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	again := newWorld(t, store.Options{Seed: 5, File: file})
	defer again.Close()
	if again.AdministratorKey(account) == nil || again.AdministratorKey(account).Secret != w.AdministratorKey(account).Secret {
		t.Error("the administrator's key is lost")
	}
	if next := again.IDs().UUID(); next == first {
		t.Error("a seeded world starts again from the beginning")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[1].Name() != "state.json.lock" {
		t.Errorf("left in the directory: %v %v, want the state and its lock", entries, err)
	}
}

func TestSavingFailsLoudly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	file := filepath.Join(dir, "state.json")
	if _, err := store.New(store.Options{File: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("New without the directory: %v, want an error that names the file", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, store.Options{File: file})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("a state that cannot be saved is closed without an error")
	}
}

func TestAStateFileHasOneWorldAtATime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	first := newWorld(t, store.Options{File: file})
	_, err := store.New(store.Options{File: file})
	for _, want := range []string{file, file + ".lock", "another local AWS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second world on the file: %v, want an error with %q", err, want)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newWorld(t, store.Options{File: file})
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(file + ".lock")
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 0 {
		t.Errorf("the lock file: %v %v", info, err)
	}
}

func TestAFileThatIsNoStateIsLeftAlone(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.json")
	w := newWorld(t, store.Options{File: whole})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"truncated":       string(state[:len(state)/2]),
		"empty":           "",
		"no JSON":         "accounts:\n- 1\n",
		"foreign JSON":    `{"version":4,"terraform_version":"1.9.0"}`,
		"a JSON list":     "[]",
		"a later format":  strings.Replace(string(state), `"format":1`, `"format":2`, 1),
		"a lost key":      strings.Replace(string(state), `"sessionKey":"`, `"sessionKey":"AAAA","was":"`, 1),
		"an account lost": strings.Replace(string(state), `"accounts":{`, `"accounts":{"222222222222":null,`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the lock is given up
				_, err := store.New(store.Options{File: file})
				for _, want := range []string{file, "move it away", "restore a copy"} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("New = %v, want an error with %q", err, want)
					}
				}
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != text {
				t.Errorf("the file was changed to %q, %v", after, err)
			}
		})
	}
}

func TestAClockThatIsMovedStaysMoved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	w := newWorld(t, store.Options{File: file})
	if err := w.Advance(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, store.Options{File: file})
	defer again.Close()
	if ahead := time.Until(again.Now()); ahead < 23*time.Hour {
		t.Errorf("the clock is %v ahead after the restart", ahead)
	}
	fixed := newWorld(t, store.Options{Clock: fixedClock{}})
	if err := fixed.Advance(time.Hour); err == nil {
		t.Error("a clock that cannot be moved was moved")
	}
}

type fixedClock struct{}

func (fixedClock) Now() time.Time { return epoch }

func TestOrganizationPaths(t *testing.T) {
	w := newWorld(t, store.Options{})
	o := w.NewOrganization("999999999999", epoch)
	o.Nodes["ou-1"] = &store.OrgNode{ID: "ou-1", Parent: o.Root}
	o.Join(account, "CREATED", epoch)
	o.Members[account].Parent = "ou-1"
	if diff := cmp.Diff([]string{o.Root, "ou-1", string(account)}, o.Path(account)); diff != "" {
		t.Error(diff)
	}
	if got, want := o.PathString(account), o.ID+"/"+o.Root+"/ou-1/"; got != want {
		t.Errorf("PathString = %s, want %s", got, want)
	}
	if o.Path("333333333333") != nil || o.PathString("333333333333") != "" || (*store.Organization)(nil).Path(account) != nil {
		t.Error("an account outside has a path")
	}
	o.Nodes["ou-1"].Parent = "ou-1" // a loop must end
	if n := len(o.Path(account)); n > 4 {
		t.Errorf("a path of %d nodes", n)
	}
}
