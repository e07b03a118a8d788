package store

import (
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
)

// Types of organization policies that decide on requests.
const (
	ServiceControlPolicy  = "SERVICE_CONTROL_POLICY"
	ResourceControlPolicy = "RESOURCE_CONTROL_POLICY"
)

// The ids of the policies that AWS manages for every organization.
const (
	FullAWSAccess    = "p-FullAWSAccess"
	RCPFullAWSAccess = "p-RCPFullAWSAccess"
)

// Organization is the one organization of a World.
type Organization struct {
	ID         string                           `json:"id"` // o-…
	Management arn.AccountID                    `json:"management"`
	FeatureSet string                           `json:"featureSet"` // "ALL" or "CONSOLIDATED_BILLING"
	Root       string                           `json:"root"`       // id of the root node
	Nodes      map[string]*OrgNode              `json:"nodes"`      // the root and the OUs by id
	Members    map[arn.AccountID]*Member        `json:"members"`    // the management account too
	Policies   map[string]*Versioned[OrgPolicy] `json:"policies"`   // customer managed, by id
	// Attachments has the ids of the policies attached to a root, OU or account,
	// AWS's own (p-FullAWSAccess) among them.
	Attachments map[string]*Versioned[[]string] `json:"attachments"`
	// Enabled has the policy types that are enabled in the root.
	Enabled map[string]bool `json:"enabled"`
	// Trusted has the service principals with trusted access, and since when.
	Trusted map[string]time.Time `json:"trusted,omitempty"`
	// Delegated has the delegated administrators: account, service principal, since when.
	Delegated map[arn.AccountID]map[string]time.Time `json:"delegated,omitempty"`
	Creations []AccountCreation                      `json:"creations,omitempty"` // oldest first
	Tags      Tags                                   `json:"tags,omitempty"`      // of the root
}

// AccountCreation is what became of a CreateAccount.
type AccountCreation struct {
	ID      string        `json:"id"`                // car-…
	Name    string        `json:"name"`              // of the account
	Account arn.AccountID `json:"account,omitempty"` // "" when it failed
	Failure string        `json:"failure,omitempty"` // why it failed: "EMAIL_ALREADY_EXISTS"
	At      time.Time     `json:"at"`
}

// OrgNode is the root or an OU.
type OrgNode struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Parent  string    `json:"parent,omitempty"` // "" for the root
	Tags    Tags      `json:"tags,omitempty"`
	Created time.Time `json:"created"`
}

// Member is an account's place in the organization.
type Member struct {
	Account arn.AccountID `json:"account"`
	Parent  string        `json:"parent"` // id of a node
	Status  string        `json:"status"` // "ACTIVE", "SUSPENDED", …
	Method  string        `json:"method"` // "CREATED" or "INVITED"
	Joined  time.Time     `json:"joined"`
	Tags    Tags          `json:"tags,omitempty"`
	// From is the parent before the last move, which others see until they see
	// Moved; "" for accounts that never moved.
	From  string    `json:"from,omitempty"`
	Moved time.Time `json:"moved,omitzero"`
}

// OrgPolicy is a policy of an organization.
type OrgPolicy struct {
	ID          string `json:"id"` // p-…
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Content     string `json:"content"`
	Tags        Tags   `json:"tags,omitempty"`
}

// Path returns the ids from the root down to account, which is the last one;
// nil when the account is in no organization.
func (o *Organization) Path(account arn.AccountID) []string {
	if o == nil || o.Members[account] == nil {
		return nil
	}
	return append(o.Above(o.Members[account].Parent), string(account))
}

// PathAt is Path as others see it at seen: an account that was moved later is
// where it came from.
func (o *Organization) PathAt(account arn.AccountID, seen time.Time) []string {
	if o == nil || o.Members[account] == nil {
		return nil
	}
	m := o.Members[account]
	if m.Moved.After(seen) && o.Nodes[m.From] != nil {
		return append(o.Above(m.From), string(account))
	}
	return o.Path(account)
}

// Above returns the ids from the root down to a node, which is the last one.
func (o *Organization) Above(node string) []string {
	var path []string
	for id := node; o.Nodes[id] != nil && len(path) < len(o.Nodes); id = o.Nodes[id].Parent {
		path = append(path, id)
	}
	slices.Reverse(path)
	return path
}

// PathString is the value of aws:PrincipalOrgPaths for account:
// "o-…/r-…/ou-…/". It is "" when the account is in no organization.
func (o *Organization) PathString(account arn.AccountID) string {
	path := o.Path(account)
	if path == nil {
		return ""
	}
	s := o.ID + "/"
	for _, id := range path[:len(path)-1] {
		s += id + "/"
	}
	return s
}

// PolicyARN is the ARN of one of the organization's policies.
func (o *Organization) PolicyARN(p *OrgPolicy) arn.ARN {
	return o.arn("policy/" + o.ID + "/" + strings.ToLower(p.Type) + "/" + p.ID)
}

// ARN is the organization's own ARN.
func (o *Organization) ARN() arn.ARN { return o.arn("organization/" + o.ID) }

// AccountARN is the ARN of a member in the organization.
func (o *Organization) AccountARN(account arn.AccountID) arn.ARN {
	return o.arn("account/" + o.ID + "/" + string(account))
}

// NodeARN is the ARN of the root or an OU by its id.
func (o *Organization) NodeARN(id string) arn.ARN {
	kind := "ou/"
	if strings.HasPrefix(id, "r-") {
		kind = "root/"
	}
	return o.arn(kind + o.ID + "/" + id)
}

func (o *Organization) arn(resource string) arn.ARN {
	return arn.ARN{Partition: Partition, Service: "organizations", Account: o.Management, Owner: string(o.Management), Resource: resource}
}

// NewOrganization makes an organization with all features whose only member is
// management, with SCPs and RCPs enabled. The World's Organization is for the
// caller to set, under the write lock.
func (w *World) NewOrganization(management arn.AccountID, at time.Time) *Organization {
	o := w.BareOrganization(management, at)
	o.Enable(ServiceControlPolicy)
	o.Enable(ResourceControlPolicy)
	return o
}

// BareOrganization makes an organization as CreateOrganization does: with all
// features and no policy type enabled.
func (w *World) BareOrganization(management arn.AccountID, at time.Time) *Organization {
	root := "r-" + w.ids.Lower(4)
	o := &Organization{
		ID: "o-" + w.ids.Lower(10), Management: management, FeatureSet: "ALL", Root: root,
		Nodes:       map[string]*OrgNode{root: {ID: root, Name: "Root", Created: at}},
		Members:     map[arn.AccountID]*Member{},
		Policies:    map[string]*Versioned[OrgPolicy]{},
		Attachments: map[string]*Versioned[[]string]{root: {}},
		Enabled:     map[string]bool{},
	}
	o.Join(management, "INVITED", at)
	return o
}

// NewUnit makes an OU below parent with AWS's own policies attached.
func (w *World) NewUnit(o *Organization, parent, name string, at time.Time) *OrgNode {
	node := &OrgNode{ID: "ou-" + strings.TrimPrefix(o.Root, "r-") + "-" + w.ids.Lower(8), Name: name, Parent: parent, Created: at}
	o.Nodes[node.ID] = node
	o.attachDefaults(node.ID)
	return node
}

// Join puts an account below the root, with AWS's own policies attached.
func (o *Organization) Join(account arn.AccountID, method string, at time.Time) {
	o.Members[account] = &Member{Account: account, Parent: o.Root, Status: "ACTIVE", Method: method, Joined: at}
	o.attachDefaults(string(account))
}

// Leave takes an account out, with what is attached to it.
func (o *Organization) Leave(account arn.AccountID) {
	delete(o.Members, account)
	delete(o.Attachments, string(account))
}

// Enable enables a policy type and attaches AWS's own policy of that type to
// every node and account, as EnablePolicyType does.
func (o *Organization) Enable(kind string) {
	o.Enabled[kind] = true
	for target := range o.Attachments {
		o.attachDefault(target, kind)
	}
}

// attachDefaults attaches the policies that every new OU and account has.
func (o *Organization) attachDefaults(target string) {
	o.Attachments[target] = &Versioned[[]string]{}
	for _, kind := range []string{ServiceControlPolicy, ResourceControlPolicy} {
		if o.Enabled[kind] {
			o.attachDefault(target, kind)
		}
	}
}

// attachDefault attaches AWS's own policy in the past of every observer: a new
// node must not be one without policies, which denies everything, until the
// attachment is seen.
func (o *Organization) attachDefault(target, kind string) {
	own := FullAWSAccess
	if kind == ResourceControlPolicy {
		own = RCPFullAWSAccess
	}
	o.Attachments[target].Edit(time.Time{}, func(ids *[]string) {
		if !slices.Contains(*ids, own) {
			*ids = append(*ids, own)
		}
	})
}

// Attached returns the ids of the policies attached to a root, OU or account
// now, for reading.
func (o *Organization) Attached(target string) []string {
	if ids := o.Attachments[target].Latest(); ids != nil {
		return *ids
	}
	return nil
}
