package filter_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/internal/cli/filter"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
)

// An account without a name is not the one of entries without an account.
func TestWhatIsOfNoAccountIsInNoUnit(t *testing.T) {
	var saved bytes.Buffer
	err := inventory.Save(&saved, &inventory.Inventory{OrgState: inventory.Exists, Organization: &inventory.Organization{
		ID: "o-example", ManagementAccount: "111111111111", Root: &inventory.Node{ID: "r-ab12", Name: "Root", Children: []*inventory.Node{
			{ID: "ou-ab12-00000001", Name: "Prod", Children: []*inventory.Node{{ID: "111111111111"}, {ID: "222222222222", Name: "orders"}}},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "acme.json")
	if err := os.WriteFile(path, saved.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := filter.Flags{Unit: "Prod", Inventory: path}
	f, err := flags.Open(t.Context(), &term.Streams{Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		entry         known.Entry
		keep, unknown bool
	}{
		{known.Entry{Address: "orders/Admin", Account: "orders", Role: "Admin"}, true, false},
		{known.Entry{Address: "111111111111/Admin", AccountID: "111111111111", Role: "Admin"}, true, false},
		{known.Entry{Address: "vendor", Source: "vendor"}, false, true},
	} {
		if keep, unknown := f.Keep(&c.entry); keep != c.keep || unknown != c.unknown {
			t.Errorf("%s: kept %t, unknown %t, want %t, %t", c.entry.Address, keep, unknown, c.keep, c.unknown)
		}
	}
}
