package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// Details reads what `aws iam get-account-authorization-details` prints: one
// answer, or its pages one after the other or in a list. Documents may be
// URL-encoded strings, as the API sends them, or objects, as the CLI prints
// them. The account is that of the ARNs; o.Account stands in when there are none.
//
// The account's IAM counts as complete unless the last page is missing. A file
// made with --filter does not say so: such a file makes what was left out absent.
// The longest session of roles is not in these details.
func Details(name string, src []byte, o Options) (*inventory.Inventory, diag.List, error) {
	pages, err := detailPages(src)
	if err != nil {
		return nil, nil, err
	}
	d := &detailReader{file: name, inv: &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{}}, groups: map[groupKey]inventory.Group{}, account: o.Account}
	for i := range pages {
		d.groupsAndPolicies(&pages[i])
	}
	truncated := true
	for i := range pages {
		d.principals(&pages[i])
		truncated = truncated && pages[i].IsTruncated
	}
	if len(d.inv.Accounts) == 0 {
		return nil, nil, errors.New("no ARN in it tells the account, and none was given")
	}
	for _, id := range slices.Sorted(maps.Keys(d.inv.Accounts)) {
		a := d.inv.Accounts[id]
		a.Complete = !truncated
		if truncated {
			why := "the last page is missing: IsTruncated is true in every page of " + name
			a.Problems = append(a.Problems, inventory.Problem{What: inventory.AllOfIAM, Why: why})
			d.findings.Add(diag.Diagnostic{Pos: diag.Position{File: name}, Severity: diag.Warning, Code: CodeUnread, Summary: "account " + string(id) + " is read in part: " + why})
		}
	}
	return d.inv, d.findings, nil
}

// detailPages decodes one answer, several, or a list of them.
func detailPages(src []byte) ([]detailPage, error) {
	dec := json.NewDecoder(bytes.NewReader(src))
	var pages []detailPage
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return pages, nil
		}
		if err != nil {
			return nil, positioned(src, 0, err, dec.InputOffset())
		}
		start := dec.InputOffset() - int64(len(raw))
		var some []detailPage
		if raw[0] == '[' {
			err = json.Unmarshal(raw, &some)
		} else {
			some = make([]detailPage, 1)
			err = json.Unmarshal(raw, &some[0])
		}
		if err != nil {
			return nil, positioned(src, start, err, start)
		}
		pages = append(pages, some...)
	}
}

// positioned adds line and column to an error of the JSON decoder, whose offsets
// count from start.
func positioned(src []byte, start int64, err error, offset int64) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = start + syntax.Offset
	} else if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = start + kind.Offset
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		offset = int64(len(src))
	}
	before := src[:min(max(offset, 0), int64(len(src)))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Errorf("line %d, column %d: %w", line, len(before)-bytes.LastIndexByte(before, '\n'), err)
}

// The members of the answer that decide; instance profiles let nobody in by
// themselves. Source: IAM API reference, GetAccountAuthorizationDetails.
type detailPage struct {
	UserDetailList  []userDetail
	GroupDetailList []groupDetail
	RoleDetailList  []roleDetail
	Policies        []policyDetail
	IsTruncated     bool
}

type roleDetail struct {
	Arn, RoleName, RoleId, Path string
	Description                 string
	MaxSessionDuration          int // not in the answer today, but in GetRole's
	AssumeRolePolicyDocument    docText
	RolePolicyList              []inlineDetail
	AttachedManagedPolicies     []attachedDetail
	PermissionsBoundary         boundaryDetail
	Tags                        []tagDetail
	RoleLastUsed                *struct {
		LastUsedDate time.Time
		Region       string
	}
}

type userDetail struct {
	Arn, UserName, UserId, Path string
	UserPolicyList              []inlineDetail
	GroupList                   []string
	AttachedManagedPolicies     []attachedDetail
	PermissionsBoundary         boundaryDetail
	Tags                        []tagDetail
}

type groupDetail struct {
	Arn, GroupName          string
	GroupPolicyList         []inlineDetail
	AttachedManagedPolicies []attachedDetail
}

type policyDetail struct {
	Arn               string
	DefaultVersionId  string
	PolicyVersionList []struct {
		Document         docText
		VersionId        string
		IsDefaultVersion bool
	}
}

type (
	inlineDetail struct {
		PolicyName     string
		PolicyDocument docText
	}
	attachedDetail struct{ PolicyArn string }
	boundaryDetail struct{ PermissionsBoundaryArn string }
	tagDetail      struct{ Key, Value string }
)

// docText is a policy document as a string, URL-encoded or not, or as an object.
type docText string

func (d *docText) UnmarshalJSON(src []byte) error {
	if len(src) == 0 || src[0] != '"' {
		var buf bytes.Buffer
		if err := json.Compact(&buf, src); err != nil {
			return err
		}
		*d = docText(buf.String())
		return nil
	}
	var text string
	if err := json.Unmarshal(src, &text); err != nil {
		return err
	}
	// A document begins with a brace, encoded as %7B.
	if strings.HasPrefix(text, "%") {
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
	}
	*d = docText(text)
	return nil
}

type groupKey struct {
	account arn.AccountID
	name    string // lower case
}

type detailReader struct {
	file     string
	inv      *inventory.Inventory
	account  arn.AccountID // of what has no ARN
	groups   map[groupKey]inventory.Group
	findings diag.List
}

// in is the account of an ARN, made on first use; nil when nothing tells it.
func (d *detailReader) in(id, what string) *inventory.Account {
	account := d.account
	if parsed, err := arn.Parse(id); err == nil && parsed.Account != "" {
		account = parsed.Account
	}
	if account == "" {
		left := diag.Diagnostic{
			Pos: diag.Position{File: d.file}, Severity: diag.Warning, Code: CodeNoAccount,
			Summary: what + " is left out: its ARN " + strconv.Quote(id) + " names no account", Hint: "name the account",
		}
		if !slices.Contains(d.findings, left) {
			d.findings.Add(left)
		}
		return nil
	}
	a := d.inv.Accounts[account]
	if a == nil {
		a = &inventory.Account{ID: account, Roles: map[string]*inventory.Role{}, Users: map[string]*inventory.User{}, Managed: map[string]*inventory.Managed{}}
		d.inv.Accounts[account] = a
	}
	if d.account == "" {
		d.account = account // AWS's own policies in these pages are attached there
	}
	return a
}

func (d *detailReader) groupsAndPolicies(page *detailPage) {
	// Principals first tell whose the AWS managed policies are.
	for _, r := range page.RoleDetailList {
		d.in(r.Arn, "role "+r.RoleName)
	}
	for _, u := range page.UserDetailList {
		d.in(u.Arn, "user "+u.UserName)
	}
	for _, g := range page.GroupDetailList {
		if a := d.in(g.Arn, "group "+g.GroupName); a != nil {
			d.groups[groupKey{a.ID, strings.ToLower(g.GroupName)}] = inventory.Group{Name: g.GroupName, Inline: inlineOf(g.GroupPolicyList), Attached: attachedOf(g.AttachedManagedPolicies)}
		}
	}
	for _, p := range page.Policies {
		a := d.in(p.Arn, "policy "+p.Arn)
		if a == nil {
			continue
		}
		a.Managed[p.Arn] = &inventory.Managed{ARN: p.Arn, Document: defaultVersion(p)}
	}
}

func defaultVersion(p policyDetail) string {
	for _, v := range p.PolicyVersionList {
		if v.IsDefaultVersion || v.VersionId != "" && v.VersionId == p.DefaultVersionId {
			return string(v.Document)
		}
	}
	return inventory.Unknown("the details hold no default version of it")
}

func (d *detailReader) principals(page *detailPage) {
	for _, r := range page.RoleDetailList {
		a := d.in(r.Arn, "role "+r.RoleName)
		if a == nil {
			continue
		}
		role := &inventory.Role{
			ARN: r.Arn, Name: r.RoleName, ID: r.RoleId, Path: r.Path, Trust: string(r.AssumeRolePolicyDocument), Inline: inlineOf(r.RolePolicyList),
			Attached: attachedOf(r.AttachedManagedPolicies), Boundary: r.PermissionsBoundary.PermissionsBoundaryArn,
			MaxSession: r.MaxSessionDuration, Description: r.Description, Tags: tagsOf(r.Tags),
		}
		if r.RoleLastUsed != nil {
			role.LastUsed = &inventory.LastUsed{At: r.RoleLastUsed.LastUsedDate, Region: r.RoleLastUsed.Region}
		}
		a.Roles[strings.ToLower(r.RoleName)] = role
	}
	for _, u := range page.UserDetailList {
		a := d.in(u.Arn, "user "+u.UserName)
		if a == nil {
			continue
		}
		user := &inventory.User{
			ARN: u.Arn, Name: u.UserName, ID: u.UserId, Path: u.Path, Inline: inlineOf(u.UserPolicyList),
			Attached: attachedOf(u.AttachedManagedPolicies), Boundary: u.PermissionsBoundary.PermissionsBoundaryArn, Tags: tagsOf(u.Tags),
		}
		for _, name := range u.GroupList {
			user.Groups = append(user.Groups, d.group(a, name))
		}
		a.Users[strings.ToLower(u.UserName)] = user
	}
}

func (d *detailReader) group(a *inventory.Account, name string) inventory.Group {
	if g, ok := d.groups[groupKey{a.ID, strings.ToLower(name)}]; ok {
		return g
	}
	return inventory.Group{Name: name, Attached: []string{inventory.Unknown("the details do not hold group " + name)}}
}

func inlineOf(list []inlineDetail) map[string]string {
	out := make(map[string]string, len(list))
	for _, p := range list {
		out[p.PolicyName] = string(p.PolicyDocument)
	}
	return out
}

func attachedOf(list []attachedDetail) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.PolicyArn)
	}
	return out
}

func tagsOf(list []tagDetail) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		out[t.Key] = t.Value
	}
	return out
}
