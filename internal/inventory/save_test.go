package inventory_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

// sameInventory takes nil and empty maps and lists for the same, as JSON does.
func sameInventory(a, b *inventory.Inventory) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }

func saved(tb testing.TB, inv *inventory.Inventory) []byte {
	tb.Helper()
	var buf bytes.Buffer
	if err := inventory.Save(&buf, inv); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func loaded(tb testing.TB, src []byte) *inventory.Inventory {
	tb.Helper()
	inv, err := inventory.Load(bytes.NewReader(src))
	if err != nil {
		tb.Fatal(err)
	}
	return inv
}

func drawSize(t *rapid.T) inventorytest.Size {
	return inventorytest.Size{
		Seed: rapid.Uint64().Draw(t, "seed"), Accounts: rapid.IntRange(1, 6).Draw(t, "accounts"),
		Roles: rapid.IntRange(1, 15).Draw(t, "roles"), Edges: rapid.IntRange(1, 6).Draw(t, "edges"),
	}
}

func TestLoadGivesWhatWasSaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := partial(t, inventorytest.Organization(drawSize(t)), "part")
		var plain, packed bytes.Buffer
		if err := errors.Join(inventory.Save(&plain, inv), inventory.SaveGzip(&packed, inv)); err != nil {
			t.Fatal(err)
		}
		for _, src := range [][]byte{plain.Bytes(), packed.Bytes()} {
			if !inventory.Saved(src) {
				t.Error("Saved does not recognise what Save wrote")
			}
			got, err := inventory.Load(bytes.NewReader(src))
			if err != nil {
				t.Fatal(err)
			}
			if diff := sameInventory(inv, got); diff != "" {
				t.Errorf("Load(Save(x)) is not x:\n%s", diff)
			}
		}
	})
}

func TestSaveWritesTheSameBytesForTheSameInventory(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 9})
	first := saved(t, inv)
	if again := saved(t, loaded(t, first)); !bytes.Equal(first, again) {
		t.Error("saving what was loaded gives another text")
	}
	if !json.Valid(first) {
		t.Error("a saved inventory is not one JSON value")
	}
}

func TestLoadReadsStatesByNameAndByNumber(t *testing.T) {
	inv := loaded(t, []byte(`{"format":"stile-inventory","version":1,"organizationState":"absent","accounts":{"111111111111":{"listed":{"us-east-1 keys":3,"saml":"exists"}}}}`))
	if inv.OrgState != inventory.Absent {
		t.Errorf("OrgState = %v, want absent", inv.OrgState)
	}
	a := inv.Accounts["111111111111"]
	if a.ID != "111111111111" || a.Kind(inventory.KindKeys, "us-east-1") != inventory.Unread || a.Kind(inventory.KindSAML, "") != inventory.Exists {
		t.Errorf("account = %+v", a)
	}
}

func TestLoadSharesRepeatedDocuments(t *testing.T) {
	inv := loaded(t, saved(t, inventorytest.Organization(inventorytest.Size{Accounts: 3})))
	const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
	one := inv.Accounts[inventorytest.AccountID(0)].Managed[admin].Document
	two := inv.Accounts[inventorytest.AccountID(1)].Managed[admin].Document
	if dataOf(one) != dataOf(two) {
		t.Error("two accounts hold two copies of AdministratorAccess")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	const head = `{"format":"stile-inventory","version":1,`
	for name, test := range map[string]struct {
		src    string
		want   string
		format bool // whether ErrFormat is wrapped
	}{
		"nothing":                   {"", "unexpected EOF", false},
		"another JSON value":        {"[]", "not a JSON object", true},
		"an object of another kind": {`{"accounts":{}}`, `it lacks "format"`, true},
		"another format":            {`{"format":"other","version":1}`, `its format is "other"`, true},
		"a newer version":           {`{"format":"stile-inventory","version":2,"accounts":{}}`, "it has version 2, this program reads version 1", true},
		"a newer version that has what this one does not know": {`{"accounts":{"111111111111":{"new":1}},"format":"stile-inventory","version":2}`, "it has version 2", true},
		"an unknown member":               {head + `"extra":1}`, "extra: this program knows no such member", false},
		"an unknown member of an account": {head + `"accounts":{"111111111111":{"rolse":{}}}}`, `account 111111111111, byte 67: json: unknown field "rolse"`, false},
		"no account id":                   {head + `"accounts":{"prod":{}}}`, "prod", false},
		"an account twice":                {head + `"accounts":{"111111111111":{},"111111111111":{}}}`, `"111111111111" is there twice`, false},
		"a member twice":                  {head + `"version":1}`, `"version" is there twice`, false},
		"an account under another's id":   {head + `"accounts":{"111111111111":{"id":"222222222222"}}}`, "its id is 222222222222", false},
		"an unknown state":                {head + `"organizationState":"maybe"}`, "maybe", false},
		"a hole in the tree":              {head + `"organization":{"root":{"id":"r-1","children":[null]}}}`, "child 0 of r-1 is null", false},
		"half of it":                      {head + `"accounts":{"111111111111":{`, "unexpected EOF", false},
		"more after it":                   {head + `"accounts":{}} {}`, "more text after the inventory", false},
		"half of a gzip":                  {"\x1f\x8b\x08", "unexpected EOF", false},
	} {
		_, err := inventory.Load(strings.NewReader(test.src))
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, inventory.ErrFormat) != test.format {
			t.Errorf("%s: Load = %v, want an error with %q (ErrFormat: %v)", name, err, test.want, test.format)
		}
	}
}

func TestSavedTellsOtherFilesApart(t *testing.T) {
	for _, src := range []string{"", "{", "[1]", `{"RoleDetailList":[]}`, `{"nested":{"format":"stile-inventory"}}`, "\x1f\x8b\x08junk", "format: stile-inventory"} {
		if inventory.Saved([]byte(src)) {
			t.Errorf("Saved(%q) = true", src)
		}
	}
	if !inventory.Saved([]byte(`{"accounts":{}, "format":"stile-inventory"}`)) {
		t.Error("Saved does not find the format after the accounts")
	}
}

func TestSaveTellsWhenTheWriterFails(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{})
	whole := len(saved(t, inv))
	for _, room := range []int{0, 10, whole / 2, whole - 1} {
		if err := inventory.Save(&fullDisk{room}, inv); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("Save with room for %d bytes = %v, want ErrShortWrite", room, err)
		}
	}
}

// fullDisk takes as many bytes as there is room for.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return 0, io.ErrShortWrite
	}
	d.room -= len(p)
	return len(p), nil
}

func FuzzLoad(f *testing.F) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 2, Roles: 2, Users: 1, Resources: 1})
	text := saved(f, inv)
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte(`{"format":"stile-inventory","version":1,"accounts":{"111111111111":null}}`))
	f.Add([]byte(`{"format":"stile-inventory","version":1,"organization":{"root":{"children":[{"id":"ou-1"}]}}}`))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, `{"format":"stile-inventory","version":1}`)
	z.Close()
	f.Add(packed.Bytes())
	f.Fuzz(func(t *testing.T, src []byte) {
		inv, err := inventory.Load(bytes.NewReader(src))
		if err != nil {
			return
		}
		if diff := sameInventory(inv, loaded(t, saved(t, inv))); diff != "" {
			t.Errorf("loading, saving and loading again gives another inventory:\n%s", diff)
		}
		if changes := inventory.Diff(inv, inventory.Merge(inv, inv)); len(changes) > 0 {
			t.Errorf("an inventory merged with itself changed: %v", changes)
		}
		inv.Organization.Path("111111111111")
	})
}

// TestLoadAtScale loads 500 accounts of 200 roles with 20 edges each. It takes
// half a minute and some GB, so it runs only when asked for.
func TestLoadAtScale(t *testing.T) {
	if os.Getenv("STILE_SCALE") == "" {
		t.Skip("set STILE_SCALE=1 to measure 500 accounts of 200 roles")
	}
	file := t.TempDir() + "/inventory.json"
	start := time.Now()
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 500, Roles: 200, Edges: 20})
	t.Logf("made in %v", time.Since(start))
	start = time.Now()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(inventory.Save(out, inv), out.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("saved %d MB in %v", info.Size()>>20, time.Since(start))
	inv = nil
	before := heap()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	start = time.Now()
	if inv, err = inventory.Load(in); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	t.Logf("loaded in %v; %d MB in use after it, %d MB from the system at most", took, (heap()-before)>>20, stats.Sys>>20)
	start = time.Now()
	if changes := inventory.Diff(inv, inv); len(changes) > 0 {
		t.Errorf("an inventory differs from itself: %v", changes[0])
	}
	t.Logf("compared with itself in %v", time.Since(start))
	if len(inv.Accounts) != 500 || took > 20*time.Second {
		t.Errorf("%d accounts in %v, want 500 in less than 20 s", len(inv.Accounts), took)
	}
	runtime.KeepAlive(inv)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func BenchmarkLoad(b *testing.B) {
	text := saved(b, inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 50, Roles: 100, Edges: 20}))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		loaded(b, text)
	}
}

func BenchmarkSave(b *testing.B) {
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 50, Roles: 100, Edges: 20})
	for b.Loop() {
		b.SetBytes(int64(len(saved(b, inv))))
	}
}

func BenchmarkTreePath(b *testing.B) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 500, Roles: 1})
	last := inventorytest.AccountID(499)
	for name, path := range map[string]func(arn.AccountID) []*inventory.Node{"search": inv.Organization.Path, "tree": inventory.NewTree(inv.Organization).Path} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				path(last)
			}
		})
	}
}
