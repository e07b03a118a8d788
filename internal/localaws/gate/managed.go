package gate

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// ManagedPolicy is a policy that AWS manages and every account can attach.
type ManagedPolicy struct {
	Name    string
	Path    string // "/", "/job-function/", …
	ID      string // ANPA…, made up where AWS's is not known
	Version string // of the default version: "v1"
	Created time.Time
	// Description as the console shows it.
	Description string

	text   string
	derive func() string // where there is no text
}

// Document is the text of the default version. That of a policy derived from the
// catalog is made when it is first asked for.
func (p *ManagedPolicy) Document() string {
	if p.derive != nil {
		return p.derive()
	}
	return p.text
}

// ARN is the policy's ARN: arn:aws:iam::aws:policy/….
func (p *ManagedPolicy) ARN() string { return managedPrefix + p.Path + p.Name }

// idLength is how much of a unique id follows its prefix.
const idLength = 17

const managedPrefix = "arn:aws:iam::aws:policy"

// managedJSON has the statements that AWS published by autumn 2026. Policies whose
// text is known exactly are here, and a few are derived (derived.go); attaching
// another one is NoSuchEntity.
//
//go:embed managed.json
var managedJSON []byte

// AWSManagedPolicies lists the policies that AWS manages, by name. The slice is
// shared and must not be changed.
func AWSManagedPolicies() []*ManagedPolicy { return parseManaged() }

var parseManaged = sync.OnceValue(func() []*ManagedPolicy {
	var known []struct {
		ManagedPolicy
		Document string
	}
	if err := json.Unmarshal(managedJSON, &known); err != nil {
		panic("gate: reading the embedded managed policies: " + err.Error())
	}
	var all []*ManagedPolicy
	for i := range known {
		p := &known[i].ManagedPolicy
		p.text = known[i].Document
		all = append(all, p)
	}
	for _, d := range derivations() {
		all = append(all, d.policy())
	}
	for _, p := range all {
		if p.ID == "" {
			sum := sha256.Sum256([]byte(p.ARN()))
			p.ID = "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:idLength]
		}
	}
	slices.SortFunc(all, func(a, b *ManagedPolicy) int { return strings.Compare(a.Name, b.Name) })
	return all
})

// AWSManaged finds a policy that AWS manages by its ARN.
func AWSManaged(ref string) (*ManagedPolicy, bool) {
	if !strings.HasPrefix(ref, managedPrefix) {
		return nil, false
	}
	for _, p := range AWSManagedPolicies() {
		if p.ARN() == ref {
			return p, true
		}
	}
	return nil, false
}

// OrgPolicy is a policy that AWS manages for every organization.
type OrgPolicy struct {
	ID, Type, Name, Description, ARN, Content string
}

// AWSOrgPolicies lists the policies that AWS manages for organizations.
func AWSOrgPolicies() []OrgPolicy {
	return []OrgPolicy{{
		ID: store.FullAWSAccess, Type: store.ServiceControlPolicy, Name: "FullAWSAccess",
		Description: "Allows access to every operation",
		ARN:         "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess",
		Content:     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	}, {
		ID: store.RCPFullAWSAccess, Type: store.ResourceControlPolicy, Name: "RCPFullAWSAccess",
		Description: "Allow access to all actions",
		ARN:         "arn:aws:organizations::aws:policy/resource_control_policy/p-RCPFullAWSAccess",
		Content:     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	}}
}

// AWSOrgPolicy finds a policy that AWS manages for organizations by its id.
func AWSOrgPolicy(id string) (OrgPolicy, bool) {
	all := AWSOrgPolicies()
	i := slices.IndexFunc(all, func(p OrgPolicy) bool { return p.ID == id })
	if i < 0 {
		return OrgPolicy{}, false
	}
	return all[i], true
}
