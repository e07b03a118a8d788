// Package iamcollect reads directories in the layout that the iam-collect tool
// writes (aws/PARTITION/accounts/ID/…, aws/PARTITION/organizations/ID/…).
//
// Start with [Read]. The layout knows no place for "could not be read": a policy
// that iam-collect was not allowed to read looks like none. So a missing
// policy.json counts as no policy, but for KMS keys, which always have one. A
// kind of things counts as listed in a Region when there is a directory for it; IAM
// when there are roles, users, groups or policies. What the package does not
// understand is told as a finding.
//
// The layout is that of the tool's docs/Storage.md, with the members of its
// metadata files as version 0.1 of 2026 writes them.
package iamcollect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// Codes of the findings.
const (
	CodeNotRead = "import/not-read" // something that the package does not take over
	CodeInvalid = "import/invalid"  // a file that is not what its name says
)

// Partitions are the directories that hold accounts or organizations, one for
// each partition; none when fsys is not of the layout. fsys may be the tool's
// storage path, the "aws" in it, or a partition's directory.
func Partitions(fsys fs.FS) []string {
	var out []string
	for _, pattern := range []string{"accounts/[0-9]*", "organizations/o-*", "*/accounts/[0-9]*", "*/organizations/o-*", "aws/*/accounts/[0-9]*", "aws/*/organizations/o-*"} {
		found, err := fs.Glob(fsys, pattern)
		if err != nil {
			continue // the patterns are well formed
		}
		for _, name := range found {
			if dir := path.Dir(path.Dir(name)); !slices.Contains(out, dir) {
				out = append(out, dir)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Read makes an inventory of a directory. fsys must be safe for concurrent use, as
// os.DirFS is; accounts are read side by side.
func Read(fsys fs.FS) (*inventory.Inventory, diag.List, error) {
	partitions := Partitions(fsys)
	if len(partitions) == 0 {
		return nil, nil, errors.New("there is no aws/PARTITION/accounts directory")
	}
	out := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{}}
	var findings diag.List
	for _, dir := range partitions {
		sub, err := fs.Sub(fsys, dir)
		if err != nil {
			return nil, nil, err
		}
		r := &reader{fsys: sub, dir: dir, partition: partitionName(dir), inv: out}
		if err := r.read(); err != nil {
			return nil, nil, err
		}
		findings.Add(r.findings...)
	}
	findings.Sort()
	return out, findings, nil
}

// partitionName is the partition whose directory dir is; "aws" when the directory
// does not say.
func partitionName(dir string) string {
	if base := path.Base(dir); strings.HasPrefix(base, "aws") {
		return base
	}
	return "aws"
}

// reader reads one partition.
type reader struct {
	fsys      fs.FS
	dir       string // for findings
	partition string
	inv       *inventory.Inventory

	mu       sync.Mutex // guards findings
	findings diag.List
}

func (r *reader) find(severity diag.Severity, code, file, summary string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings.Add(diag.Diagnostic{Pos: diag.Position{File: path.Join(r.dir, file)}, Severity: severity, Code: code, Summary: summary})
}

func (r *reader) read() error {
	if err := r.organizations(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(r.fsys, "accounts")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path.Join(r.dir, "accounts"), err)
	}
	accounts := make([]*inventory.Account, len(entries))
	errs := make([]error, len(entries))
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for i, e := range entries {
		id, err := arn.ParseAccountID(e.Name())
		if err != nil || !e.IsDir() {
			r.find(diag.Info, CodeNotRead, "accounts/"+e.Name(), "it is no account's directory")
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			accounts[i], errs[i] = r.account(id)
		})
	}
	wg.Wait()
	for _, a := range accounts {
		if a != nil {
			r.inv.Accounts[a.ID] = a
		}
	}
	return errors.Join(errs...)
}

// load reads a JSON file into v; found is false when there is none. A file that
// is no such JSON is told as a finding, and counts as not found.
func (r *reader) load(file string, v any) (found bool, err error) {
	src, err := fs.ReadFile(r.fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", path.Join(r.dir, file), err)
	}
	if err := json.Unmarshal(src, v); err != nil {
		r.find(diag.Warning, CodeInvalid, file, "reading JSON: "+err.Error())
		return false, nil
	}
	return true, nil
}

// document reads a policy document's text; "" when there is no file.
func (r *reader) document(file string) (string, error) {
	var raw json.RawMessage
	found, err := r.load(file, &raw)
	if err != nil || !found {
		return "", err
	}
	return documentText(raw), nil
}
