package iamcollect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

func compact(raw json.RawMessage) string {
	var buf bytes.Buffer
	if json.Compact(&buf, raw) != nil {
		return string(raw)
	}
	return buf.String()
}

// accountReader reads one account.
type accountReader struct {
	*reader
	dir     string // "accounts/111111111111"
	account *inventory.Account
}

func (r *reader) account(id arn.AccountID) (*inventory.Account, error) {
	a := &accountReader{reader: r, dir: "accounts/" + string(id), account: &inventory.Account{
		ID: id, Roles: map[string]*inventory.Role{}, Users: map[string]*inventory.User{}, Managed: map[string]*inventory.Managed{},
		Providers: map[string]*inventory.OIDCProvider{}, SAML: map[string]*inventory.SAMLProvider{}, Secrets: map[string]*inventory.Secret{},
		Keys: map[string]*inventory.Key{}, Clusters: map[string]*inventory.Cluster{}, Resources: map[string]*inventory.Resource{},
		Endpoints: map[string]*inventory.Endpoint{}, Listed: map[string]inventory.Lookup{},
	}}
	if err := a.membership(); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(r.fsys, a.dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path.Join(r.dir, a.dir), err)
	}
	for _, e := range entries {
		if err := a.service(e); err != nil {
			return nil, err
		}
	}
	return a.account, nil
}

// membership reads which organization the account is in. A missing file says
// nothing: it is also missing where the account was not allowed to ask.
func (a *accountReader) membership() error {
	var meta struct {
		OrganizationID string `json:"organizationId"`
	}
	found, err := a.load(a.dir+"/organization.json", &meta)
	if err != nil || !found {
		return err
	}
	a.account.Member = inventory.Membership{State: inventory.Exists, Organization: meta.OrganizationID}
	if org := a.inv.Organization; org != nil && org.ID == meta.OrganizationID {
		a.account.Member.Management = org.ManagementAccount
	}
	return nil
}

// service reads one entry of the account's directory.
func (a *accountReader) service(e fs.DirEntry) error {
	name, at := e.Name(), a.dir+"/"+e.Name()
	switch {
	case !e.IsDir():
		if strings.Contains(name, "policy") {
			a.find(diag.Info, CodeNotRead, at, "it is not read")
		}
		return nil
	case name == "ram":
		a.find(diag.Info, CodeNotRead, at, "policies of shares in Resource Access Manager are not read")
		return nil
	case name == "iam":
		return a.iam(at)
	}
	return a.walk(at, location{service: name})
}

// location is what the directories on the way to a resource say.
type location struct {
	service string
	region  string // "" for global services
	kind    string // "" where the layout has no directory for it
}

// files are the JSON files of a resource by their names without the extension, in
// lower case.
type files map[string]string

// walk goes down to the resources of a service. A resource is a directory with a
// metadata.json; the directories above it are a Region and a type.
func (a *accountReader) walk(dir string, at location) error {
	entries, err := fs.ReadDir(a.fsys, dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path.Join(a.reader.dir, dir), err)
	}
	found := files{}
	for _, e := range entries {
		if base, ok := strings.CutSuffix(strings.ToLower(e.Name()), ".json"); ok && !e.IsDir() {
			found[base] = dir + "/" + e.Name()
		}
	}
	if found["metadata"] != "" {
		return a.resource(dir, at, found)
	}
	if len(found) > 0 {
		a.find(diag.Info, CodeNotRead, dir, "it has no metadata.json, so what it is about is not known")
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		below := at
		switch {
		case at.region == "" && at.kind == "" && catalog.RegionShaped(e.Name()):
			below.region = e.Name()
		case at.kind == "" && !a.isResource(dir+"/"+e.Name()):
			below.kind = e.Name()
		}
		if err := a.walk(dir+"/"+e.Name(), below); err != nil {
			return err
		}
	}
	return nil
}

func (a *accountReader) isResource(dir string) bool {
	_, err := fs.Stat(a.fsys, dir+"/metadata.json")
	return err == nil
}

// dirs are the directories below one; none when it is not there.
func (a *accountReader) dirs(dir string) ([]string, error) {
	entries, err := fs.ReadDir(a.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path.Join(a.reader.dir, dir), err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, dir+"/"+e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// principal is what the directory of a role, user, group or policy says.
type principal struct {
	dir  string
	meta struct {
		ARN      string `json:"arn"`
		Name     string `json:"name"`
		ID       string `json:"id"`
		Path     string `json:"path"`
		Boundary string `json:"permissionBoundary"`
	}
	inline   map[string]string
	attached []string
	tags     map[string]string
}

// iam reads everything of IAM.
func (a *accountReader) iam(dir string) error {
	groups := map[string]inventory.Group{} // by ARN
	for _, step := range []struct {
		kind string
		take func(principal) error
	}{
		{"policy", a.policy}, {"aws/policy", a.policy},
		{"group", func(p principal) error {
			groups[p.meta.ARN] = inventory.Group{Name: p.meta.Name, Inline: p.inline, Attached: p.attached}
			return nil
		}},
		{"role", a.role},
		{"user", func(p principal) error { return a.user(p, groups) }},
		{"oidc-provider", a.provider}, {"saml-provider", a.saml},
	} {
		dirs, err := a.dirs(dir + "/" + step.kind)
		if err != nil {
			return err
		}
		for _, d := range dirs {
			p, ok, err := a.principal(d)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := step.take(p); err != nil {
				return err
			}
		}
		switch {
		case len(dirs) == 0:
		case step.kind == "oidc-provider":
			a.account.Listed[inventory.KindProviders] = inventory.Exists
		case step.kind == "saml-provider":
			a.account.Listed[inventory.KindSAML] = inventory.Exists
		default:
			a.account.Complete = true
		}
	}
	return nil
}

// principal reads what roles, users, groups and policies have in common; ok is
// false, with a finding, when the directory does not say what it is about.
func (a *accountReader) principal(dir string) (p principal, ok bool, err error) {
	p = principal{dir: dir, inline: map[string]string{}}
	found, err := a.load(dir+"/metadata.json", &p.meta)
	if err != nil {
		return p, false, err
	}
	if !found || p.meta.ARN == "" {
		a.find(diag.Warning, CodeInvalid, dir, "it has no metadata.json with an ARN, and is not read")
		if kind := path.Base(path.Dir(dir)); kind == "role" || kind == "user" {
			// The directory is the path and name, with %2f for slashes.
			name, err := url.PathUnescape(path.Base(dir))
			if err != nil {
				name = path.Base(dir)
			}
			a.account.Problems = append(a.account.Problems, inventory.Problem{What: kind + " " + afterSlash(name), Why: dir + " has no metadata.json with an ARN"})
		}
		return p, false, nil
	}
	var inline []struct {
		PolicyName     string
		PolicyDocument json.RawMessage
	}
	if _, err := a.load(dir+"/inline-policies.json", &inline); err != nil {
		return p, false, err
	}
	for _, one := range inline {
		p.inline[one.PolicyName] = documentText(one.PolicyDocument)
	}
	if _, err := a.load(dir+"/managed-policies.json", &p.attached); err != nil {
		return p, false, err
	}
	_, err = a.load(dir+"/tags.json", &p.tags)
	return p, true, err
}

func (a *accountReader) policy(p principal) error {
	text, err := a.document(p.dir + "/current-policy.json")
	if err != nil {
		return err
	}
	if text == "" {
		if text, err = a.document(p.dir + "/policy.json"); err != nil {
			return err
		}
	}
	if text == "" {
		text = inventory.Unknown(p.dir + " has no current-policy.json")
	}
	a.account.Managed[p.meta.ARN] = &inventory.Managed{ARN: p.meta.ARN, Document: text}
	return nil
}

func (a *accountReader) role(p principal) error {
	trust, err := a.document(p.dir + "/trust-policy.json")
	if err != nil {
		return err
	}
	if trust == "" {
		trust = inventory.Unknown(p.dir + " has no trust-policy.json")
	}
	a.account.Roles[strings.ToLower(p.meta.Name)] = &inventory.Role{
		ARN: p.meta.ARN, Name: p.meta.Name, ID: p.meta.ID, Path: p.meta.Path, Trust: trust, Inline: p.inline, Attached: p.attached, Boundary: p.meta.Boundary, Tags: p.tags,
	}
	return nil
}

func (a *accountReader) user(p principal, groups map[string]inventory.Group) error {
	u := &inventory.User{
		ARN: p.meta.ARN, Name: p.meta.Name, ID: p.meta.ID, Path: p.meta.Path, Inline: p.inline, Attached: p.attached, Boundary: p.meta.Boundary, Tags: p.tags,
	}
	var refs []string
	if _, err := a.load(p.dir+"/groups.json", &refs); err != nil {
		return err
	}
	for _, ref := range refs {
		g, ok := groups[ref]
		if !ok {
			g = inventory.Group{Name: afterSlash(ref), Attached: []string{inventory.Unknown("group " + ref + " is not in the directory")}}
		}
		u.Groups = append(u.Groups, g)
	}
	a.account.Users[strings.ToLower(u.Name)] = u
	return nil
}

func (a *accountReader) provider(p principal) error {
	var meta struct {
		Audiences []string `json:"audiences"`
		URL       string   `json:"url"`
	}
	if _, err := a.load(p.dir+"/metadata.json", &meta); err != nil {
		return err
	}
	_, url, _ := strings.Cut(p.meta.ARN, ":oidc-provider/") // the ARN keeps the case and the whole path
	a.account.Providers[url] = &inventory.OIDCProvider{ARN: p.meta.ARN, URL: url, ClientIDs: meta.Audiences, Tags: p.tags}
	return nil
}

func (a *accountReader) saml(p principal) error {
	a.account.SAML[p.meta.ARN] = &inventory.SAMLProvider{ARN: p.meta.ARN, Name: afterSlash(p.meta.ARN), Tags: p.tags}
	return nil
}
