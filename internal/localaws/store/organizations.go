package store

import (
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
	path := []string{string(account)}
	for id := o.Members[account].Parent; id != "" && len(path) <= len(o.Nodes); {
		node := o.Nodes[id]
		if node == nil {
			break
		}
		path = append(path, id)
		id = node.Parent
	}
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
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
	kind := strings.ToLower(p.Type)
	return arn.ARN{
		Partition: Partition, Service: "organizations", Account: o.Management, Owner: string(o.Management),
		Resource: "policy/" + o.ID + "/" + kind + "/" + p.ID,
	}
}

// NewOrganization makes an organization with all features whose only member is
// management, with SCPs enabled and AWS's own policies attached, as
// CreateOrganization does. The World's Organization is for the caller to set,
// under the write lock.
func (w *World) NewOrganization(management arn.AccountID, at time.Time) *Organization {
	root := "r-" + w.ids.Lower(4)
	o := &Organization{
		ID: "o-" + w.ids.Lower(10), Management: management, FeatureSet: "ALL", Root: root,
		Nodes:       map[string]*OrgNode{root: {ID: root, Name: "Root", Created: at}},
		Members:     map[arn.AccountID]*Member{},
		Policies:    map[string]*Versioned[OrgPolicy]{},
		Attachments: map[string]*Versioned[[]string]{},
		Enabled:     map[string]bool{ServiceControlPolicy: true, ResourceControlPolicy: true},
	}
	o.AttachDefaults(root, at)
	o.Join(management, "INVITED", at)
	return o
}

// Join puts an account below the root, with AWS's own policies attached.
func (o *Organization) Join(account arn.AccountID, method string, at time.Time) {
	o.Members[account] = &Member{Account: account, Parent: o.Root, Status: "ACTIVE", Method: method, Joined: at}
	o.AttachDefaults(string(account), at)
}

// AttachDefaults attaches the policies that every new root, OU and account has.
func (o *Organization) AttachDefaults(node string, at time.Time) {
	var ids []string
	if o.Enabled[ServiceControlPolicy] {
		ids = append(ids, FullAWSAccess)
	}
	if o.Enabled[ResourceControlPolicy] {
		ids = append(ids, RCPFullAWSAccess)
	}
	o.Attachments[node] = NewVersioned(at, &ids)
}
