package access

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// The canonical form: everything that has a meaning, lists in a fixed order
// where their order has none. A change of these types changes every digest, so
// raise canonicalForm with it.
const canonicalForm = "stile.access/1"

type (
	canonicalSet struct {
		Form     string
		Scope    canonicalScope
		Accounts []canonicalAccount
		Clusters []canonicalCluster
		Accesses []canonicalAccess
	}
	canonicalScope struct{ Name, Account, Region, Prefix string }

	canonicalAccount struct {
		Name, ID, Boundary, Path string
		Labels                   map[string]string
		Regions                  []string
		Manage, Read             *canonicalWay
	}
	canonicalWay struct {
		Profile string
		Chain   []Hop
	}
	canonicalCluster struct {
		Name, Account, Region, EKSName, Issuer, Identity string
		Labels                                           map[string]string
	}
	canonicalAccess struct {
		Name, As, Via, Hub string
		Labels             map[string]string
		Shared             bool
		From               []canonicalCaller
		To                 []string
		Allow              []canonicalAllow
		MaxDuration        time.Duration
		Tags, Profiles     map[string]string
		Expires            string
	}
	canonicalCaller struct {
		Caller, ExternalID string
	}
	canonicalAllow struct {
		Grant, Via         string
		Actions, Resources []string
		Conditions         []Condition
	}
)

// digest is the SHA-256 of the set's meaning, in hex.
func digest(s *Set) string {
	c := canonicalSet{Form: canonicalForm, Scope: canonicalScope{s.Scope.Name, s.Scope.Home.Account, s.Scope.Home.Region, s.Scope.Prefix}}
	for _, a := range s.Accounts {
		c.Accounts = append(c.Accounts, canonicalAccount{
			Name: a.Name, ID: string(a.ID), Boundary: a.PermissionsBoundary, Path: a.Path,
			Labels: a.Labels, Regions: a.Regions, Manage: canonicalCredentials(a.ManageWith), Read: canonicalCredentials(a.ReadWith),
		})
	}
	for _, k := range s.Clusters {
		c.Clusters = append(c.Clusters, canonicalCluster{
			Name: k.Name, Account: k.Account, Region: k.Region, EKSName: k.EKSName, Issuer: k.Issuer, Identity: string(k.Identity), Labels: k.Labels,
		})
	}
	for _, a := range s.Accesses {
		c.Accesses = append(c.Accesses, canonical(a))
	}
	slices.SortFunc(c.Accounts, byName(func(a canonicalAccount) string { return a.Name }))
	slices.SortFunc(c.Clusters, byName(func(c canonicalCluster) string { return c.Name }))
	slices.SortFunc(c.Accesses, byName(func(a canonicalAccess) string { return a.Name }))
	sum := sha256.Sum256(encode(c))
	return hex.EncodeToString(sum[:])
}

func canonicalCredentials(c *Credentials) *canonicalWay {
	if c == nil {
		return nil
	}
	return &canonicalWay{Profile: c.Profile, Chain: c.Chain}
}

func canonical(a *Access) canonicalAccess {
	out := canonicalAccess{
		Name: a.Name, As: a.As, Via: string(a.Via), Hub: a.Hub, Labels: a.Labels, Shared: a.Shared,
		To: slices.Sorted(slices.Values(a.To.Accounts)), MaxDuration: a.Session.MaxDuration, Tags: a.Session.Tags, Profiles: a.Profiles,
	}
	if !a.Expires.IsZero() {
		out.Expires = a.Expires.UTC().Format(time.RFC3339Nano)
	}
	for _, c := range a.From {
		out.From = append(out.From, canonicalCaller{Caller: c.String(), ExternalID: c.externalID()})
	}
	for _, w := range a.Allow {
		if w.Via == "" {
			w.Via = a.Via
		}
		out.Allow = append(out.Allow, canonicalAllow{
			Grant: w.Grant, Via: string(w.Via), Actions: slices.Sorted(slices.Values(w.Actions)), Resources: slices.Sorted(slices.Values(w.Resources)),
			Conditions: canonicalConditions(w.Conditions),
		})
	}
	byText(out.From)
	byText(out.Allow)
	return out
}

func canonicalConditions(conditions []Condition) []Condition {
	var out []Condition
	for _, c := range conditions {
		out = append(out, Condition{Operator: c.Operator, Key: c.Key, Values: slices.Sorted(slices.Values(c.Values))})
	}
	byText(out)
	return out
}

// byText orders a list by its elements' canonical text.
func byText[T any](list []T) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(string(encode(a)), string(encode(b))) })
}

// encode cannot err: the canonical types hold strings, booleans, integers,
// lists and maps of strings only.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("access: encoding the canonical form: " + err.Error())
	}
	return text
}
