package ledger_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

const account arn.AccountID = "222222222222"

func entry(id, hash string) ledger.Entry {
	return ledger.Entry{Account: account, Kind: ledger.RolePolicy, ID: id, Hash: hash}
}

func TestParseReadsWhatEncodeWrites(t *testing.T) {
	l := ledger.New("payroll")
	l.Put(entry("b/p", "h1"))
	l.Put(ledger.Entry{Account: "111111111111", Region: "us-east-1", Kind: ledger.SecretSid, ID: "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-abcdef#StileX", Hash: "h2"})
	l.Intend(entry("a/p", "h3"))
	back, err := ledger.Parse(l.Encode(), "payroll")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.Entries, back.Entries); diff != "" {
		t.Errorf("entries (-wrote +read):\n%s", diff)
	}
	if l.Digest() != back.Digest() {
		t.Error("the digest changed on the way")
	}
}

func TestParseRefusesWhatItCannotBeSureOf(t *testing.T) {
	good := string(ledger.New("payroll").Encode())
	for name, c := range map[string]struct{ text, want string }{
		"another scope's":   {good, `belongs to scope "payroll", not "billing"`},
		"of a later format": {strings.Replace(good, `"format":1`, `"format":2`, 1), "format 2 is not known"},
		"with a new field":  {strings.Replace(good, `{`, `{"new":1,`, 1), "unknown field"},
		"cut off":           {good[:len(good)-2], "parsing ledger"},
		"something else":    {"[]", "parsing ledger"},
	} {
		scope := "payroll"
		if name == "another scope's" {
			scope = "billing"
		}
		if _, err := ledger.Parse([]byte(c.text), scope); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a ledger %s: %v, want %q", name, err, c.want)
		}
	}
}

func TestEncodeDoesNotDependOnTheOrderOfPuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-d]/[a-d]`), rapid.ID[string]).Draw(t, "ids")
		a, b := ledger.New("s"), ledger.New("s")
		for _, id := range ids {
			a.Put(entry(id, "h"))
		}
		for _, id := range rapid.Permutation(ids).Draw(t, "order") {
			b.Put(entry(id, "h"))
		}
		if a.Digest() != b.Digest() {
			t.Fatalf("%s and %s differ", a.Encode(), b.Encode())
		}
	})
}

// TestWhateverAKilledRunLeavesIsOurs plays runs that intend a document, are
// killed before or after it is written, or succeed: at no time is what is in
// place unknown to the ledger.
func TestWhateverAKilledRunLeavesIsOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ledger.New("s")
		there := "" // hash of what is in place
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			hash := rapid.SampledFrom([]string{"h1", "h2", "h3"}).Draw(t, "document")
			l.Intend(entry("r/p", hash))
			switch rapid.SampledFrom([]string{"killed before", "killed after", "done"}).Draw(t, "end") {
			case "killed after":
				there = hash
			case "done":
				there = hash
				l.Made(account, ledger.RolePolicy, "r/p")
			}
			if there != "" && !l.Find(account, ledger.RolePolicy, "r/p").Wrote(there) {
				t.Fatalf("%s is in place and the ledger knows only %+v", there, l.Entries)
			}
		}
		if e := l.Find(account, ledger.RolePolicy, "r/p"); e.Wrote("somebody else's") {
			t.Fatalf("%+v takes somebody else's document for ours", e)
		}
	})
}

func TestMadeForgetsEarlierHashes(t *testing.T) {
	l := ledger.New("s")
	l.Intend(entry("r/p", "h1"))
	l.Intend(entry("r/p", "h2"))
	if e := l.Find(account, ledger.RolePolicy, "r/p"); !e.Intended || !e.Wrote("h1") || !e.Wrote("h2") {
		t.Errorf("intended twice: %+v", e)
	}
	l.Made(account, ledger.RolePolicy, "r/p")
	if e := l.Find(account, ledger.RolePolicy, "r/p"); e.Intended || e.Wrote("h1") || !e.Wrote("h2") {
		t.Errorf("made: %+v", e)
	}
}

func TestAccountsStayKnownWhenTheirLastEntryGoes(t *testing.T) {
	l := ledger.New("s")
	l.Put(entry("r/p", "h"))
	l.Drop(account, ledger.RolePolicy, "r/p")
	if len(l.Entries) != 0 || !slices.Contains(l.Accounts, account) {
		t.Errorf("ledger = %+v", l)
	}
	var none *ledger.Entry
	if none.Wrote("") || l.Find(account, ledger.RolePolicy, "r/p").Wrote("h") {
		t.Error("an entry that is not there wrote something")
	}
}

func TestCloneIsIndependent(t *testing.T) {
	l := ledger.New("s")
	l.Intend(entry("r/p", "h1"))
	l.Intend(entry("r/p", "h2"))
	before := string(l.Encode())
	c := l.Clone()
	c.Entries[0].Earlier[0] = "changed"
	c.Put(entry("x/y", "h"))
	c.Made(account, ledger.RolePolicy, "r/p")
	if got := string(l.Encode()); got != before {
		t.Errorf("changing the clone changed the original: %s, was %s", got, before)
	}
}

func TestHashesAreOfTheMeaning(t *testing.T) {
	parse := func(text string) *policy.Document {
		d, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}]}`)
	b := parse(`{"Statement":{"Resource":["*"],"Action":["s3:PutObject","s3:GetObject"],"Effect":"Allow"},"Version":"2012-10-17"}`)
	c := parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:DeleteObject"],"Resource":"*"}]}`)
	if ledger.HashDocument(a) != ledger.HashDocument(b) {
		t.Error("the same policy, written in two ways, has two hashes")
	}
	if ledger.HashDocument(a) == ledger.HashDocument(c) || ledger.HashStatement(a.Statements[0]) == ledger.HashStatement(c.Statements[0]) {
		t.Error("two policies have one hash")
	}
}

func TestEntryTellsWhatItsIDNames(t *testing.T) {
	type parts struct{ name, kind, holder, policyName, target, sid string }
	const secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:S-a1b2c3"
	for _, test := range []struct {
		kind ledger.Kind
		id   string
		want parts
	}{
		{ledger.Provider, "arn:aws:iam::222222222222:oidc-provider/oidc.example/id/A", parts{name: "oidc.example/id/A"}},
		{ledger.Role, "arn:aws:iam::222222222222:role/stile/app", parts{name: "app"}},
		{ledger.Role, "app", parts{}},
		{ledger.RolePolicy, ledger.InlineID("deploy", "stile-x"), parts{kind: "role", holder: "deploy", policyName: "stile-x"}},
		{ledger.UserPolicy, ledger.InlineID("alice", "stile-x"), parts{kind: "user", holder: "alice", policyName: "stile-x"}},
		{ledger.SecretSid, ledger.StatementID(secret, "StileX"), parts{target: secret, sid: "StileX"}},
		{ledger.KeySid, ledger.StatementID("arn:aws:kms:us-east-1:222222222222:key/k", "StileX"), parts{target: "arn:aws:kms:us-east-1:222222222222:key/k", sid: "StileX"}},
	} {
		e := ledger.Entry{Kind: test.kind, ID: test.id}
		got := parts{name: e.Name()}
		var inline, statement bool
		got.kind, got.holder, got.policyName, inline = e.Inline()
		got.target, got.sid, statement = e.Statement()
		if got != test.want || inline != (test.want.kind != "") || statement != (test.want.sid != "") {
			t.Errorf("%s %s = %+v (inline %v, statement %v), want %+v", test.kind, test.id, got, inline, statement, test.want)
		}
	}
}
