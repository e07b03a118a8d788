package inventory

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/stile-aws/stile/arn"
)

// A saved inventory is one JSON object:
//
//	{"format": "stile-inventory", "version": 1,
//	 "organization": …, "organizationState": "exists",
//	 "accounts": {"111111111111": …, …}}
//
// The members below are the fields of [Inventory] by their JSON names; an account
// that [Save] writes stands on one line of its own. The whole may be compressed
// with gzip, which [Load] sees by its first bytes. Version counts up when a
// reader of the old form would misread the new one; an unknown member is an
// error in any version, since it may say what decides.
const (
	Format  = "stile-inventory"
	Version = 1
)

// Save writes inv in the form [Load] reads, the same bytes for equal inventories.
// inv must not change meanwhile.
func Save(w io.Writer, inv *Inventory) error {
	if inv == nil {
		inv = &Inventory{}
	}
	head, err := encode(struct {
		Format       string        `json:"format"`
		Version      int           `json:"version"`
		Organization *Organization `json:"organization,omitempty"`
		OrgState     Lookup        `json:"organizationState"`
	}{Format, Version, inv.Organization, inv.OrgState})
	if err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	head = append(head[:len(head)-1], `,"accounts":{`...)
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	if err := saveAccounts(w, inv.Accounts); err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	if _, err := io.WriteString(w, "\n}}\n"); err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	return nil
}

// SaveGzip is [Save], compressed.
func SaveGzip(w io.Writer, inv *Inventory) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	if err := Save(z, inv); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("saving inventory: %w", err)
	}
	return nil
}

// saveAccounts writes the accounts by id; as many as there are processors are
// encoded at once.
func saveAccounts(w io.Writer, accounts map[arn.AccountID]*Account) error {
	separator := "\n"
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(accounts)), max(1, runtime.GOMAXPROCS(0))) {
		texts, errs := make([][]byte, len(ids)), make([]error, len(ids))
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() { texts[i], errs[i] = encode(accounts[id]) })
		}
		wg.Wait()
		for i, id := range ids {
			if errs[i] != nil {
				return fmt.Errorf("account %s: %w", id, errs[i])
			}
			name, err := encode(string(id))
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, separator+string(name)+":"); err != nil {
				return err
			}
			if _, err := w.Write(texts[i]); err != nil {
				return err
			}
			separator = ",\n"
		}
	}
	return nil
}

// encode gives v as JSON without the escapes that only browsers need.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
