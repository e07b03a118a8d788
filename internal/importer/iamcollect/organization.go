package iamcollect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// structure is structure.json: the tree below a node by ids, its accounts by ARN.
type structure map[string]struct {
	Children structure `json:"children"`
	Accounts []string  `json:"accounts"`
}

// attachments are what accounts.json and ous.json say of each.
type attachments map[string]struct {
	SCPs []string `json:"scps"` // ARNs
	RCPs []string `json:"rcps"`
}

// organizations reads the organization of the partition. An inventory holds one:
// of several the one with most accounts is taken.
func (r *reader) organizations() error {
	entries, err := fs.ReadDir(r.fsys, "organizations")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", path.Join(r.dir, "organizations"), err)
	}
	best, most := "", -1
	for _, e := range entries {
		var accounts attachments
		if _, err := r.load("organizations/"+e.Name()+"/accounts.json", &accounts); err != nil {
			return err
		}
		if len(accounts) > most {
			best, most = e.Name(), len(accounts)
		}
	}
	for _, e := range entries {
		if e.Name() != best {
			r.find(diag.Warning, CodeNotRead, "organizations/"+e.Name(), "an inventory holds one organization; the largest, "+best+", is taken")
		}
	}
	if best == "" || r.inv.Organization != nil {
		return nil
	}
	return r.organization("organizations/" + best)
}

func (r *reader) organization(dir string) error {
	var meta struct {
		ID       string          `json:"id"`
		RootID   string          `json:"rootOu"`
		Manager  string          `json:"rootAccountId"`
		Features map[string]bool `json:"features"`
	}
	var tree structure
	var accounts, units attachments
	found := true
	for file, v := range map[string]any{"metadata": &meta, "structure": &tree, "accounts": &accounts, "ous": &units} {
		ok, err := r.load(dir+"/"+file+".json", v)
		if err != nil {
			return err
		}
		found = found && ok
	}
	if !found {
		r.inv.OrgState = inventory.Unread
		r.find(diag.Warning, CodeInvalid, dir, "the organization is not read: one of metadata, structure, accounts and ous is missing")
		return nil
	}
	org := &inventory.Organization{ID: meta.ID, ManagementAccount: arn.AccountID(meta.Manager), RCPState: inventory.Absent}
	attached := maps.Clone(units)
	maps.Copy(attached, accounts)
	o := &orgReader{reader: r, dir: dir, attached: attached, scps: meta.Features["SERVICE_CONTROL_POLICY"], rcps: meta.Features["RESOURCE_CONTROL_POLICY"]}
	var err error
	if org.Policies, err = o.policies("scps"); err != nil {
		return err
	}
	if !o.scps {
		org.Policies[everything.ID] = &everything
	}
	if o.rcps {
		org.RCPState = inventory.Exists
		if org.RCPs, err = o.policies("rcps"); err != nil {
			return err
		}
	}
	if org.Root, err = o.node(meta.RootID, tree[meta.RootID].Children, tree[meta.RootID].Accounts, 0); err != nil {
		return err
	}
	r.inv.Organization, r.inv.OrgState = org, inventory.Exists
	return nil
}

// everything stands at every node of an organization without service control
// policies: there they limit nobody.
var everything = inventory.OrgPolicy{
	ID: "p-FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Name: "FullAWSAccess",
	Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
}

type orgReader struct {
	*reader
	dir        string
	attached   attachments
	scps, rcps bool // whether the policy types are enabled
}

// maxDepth bounds the tree; AWS allows five levels of OUs.
const maxDepth = 16

func (o *orgReader) node(id string, children structure, accounts []string, depth int) (*inventory.Node, error) {
	n := &inventory.Node{ID: id}
	if depth > maxDepth {
		return n, nil
	}
	var meta struct {
		Name string `json:"name"`
	}
	if _, err := o.load(o.dir+"/ous/"+strings.ToLower(id)+"/metadata.json", &meta); err != nil {
		return nil, err
	}
	n.Name = meta.Name
	o.attach(n)
	for _, below := range slices.Sorted(maps.Keys(children)) {
		c, err := o.node(below, children[below].Children, children[below].Accounts, depth+1)
		if err != nil {
			return nil, err
		}
		n.Children = append(n.Children, c)
	}
	for _, account := range slices.Sorted(slices.Values(accounts)) {
		leaf := &inventory.Node{ID: afterSlash(account)}
		o.attach(leaf)
		n.Children = append(n.Children, leaf)
	}
	return n, nil
}

func (o *orgReader) attach(n *inventory.Node) {
	for _, ref := range o.attached[n.ID].SCPs {
		n.SCPs = append(n.SCPs, afterSlash(ref))
	}
	for _, ref := range o.attached[n.ID].RCPs {
		n.RCPs = append(n.RCPs, afterSlash(ref))
	}
	if !o.scps {
		n.SCPs = []string{everything.ID}
	}
}

// afterSlash is the id at the end of an ARN.
func afterSlash(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// policies reads all policies of one kind.
func (o *orgReader) policies(kind string) (map[string]*inventory.OrgPolicy, error) {
	out := map[string]*inventory.OrgPolicy{}
	dirs, err := fs.ReadDir(o.fsys, o.dir+"/"+kind)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", path.Join(o.reader.dir, o.dir, kind), err)
	}
	for _, d := range dirs {
		p := &inventory.OrgPolicy{ID: d.Name()}
		var meta struct{ ARN, Name string }
		at := o.dir + "/" + kind + "/" + d.Name()
		if _, err := o.load(at+"/metadata.json", &meta); err != nil {
			return nil, err
		}
		p.ARN, p.Name = meta.ARN, meta.Name
		if meta.ARN != "" {
			p.ID = afterSlash(meta.ARN) // the directory's name is in lower case
		}
		if p.Document, err = o.document(at + "/policy.json"); err != nil {
			return nil, err
		}
		if p.Document == "" {
			p.Document = inventory.Unknown(at + " has no policy.json")
			o.find(diag.Warning, CodeInvalid, at, "it has no policy.json: what the policy says is not known")
		}
		out[p.ID] = p
	}
	return out, nil
}

// documentText is a policy document's text, written as an object or as a string.
func documentText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return compact(raw)
}
