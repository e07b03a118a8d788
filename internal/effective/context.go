package effective

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// complete adds to a request the condition keys AWS would send and that follow
// from what is known, and marks every other key that a document mentions as
// unknown, unless such a request never carries it.
func (v *View) complete(req *authz.Request, pols *authz.Policies) {
	var named []string
	userid := false
	for _, p := range all(pols) {
		named = append(named, keysOf(p.Document())...)
		userid = userid || variablesOf(p.Document())["aws:userid"]
	}
	slices.Sort(named)
	v.completeKeys(req, slices.Compact(named), userid)
}

// completeKeys is complete where it is known which keys the documents mention,
// and whether aws:userid stands in them as a policy variable.
func (v *View) completeKeys(req *authz.Request, keys []string, userid bool) {
	v.wellKnown(req)
	if _, given, known := req.Context.Get("aws:userid"); userid && !given && known && nameless(&req.Principal) {
		req.Context.SetUnknown("aws:userid")
	}
	for _, key := range keys {
		if _, present, known := req.Context.Get(key); present || !known || derived(key) || absent(key, req) {
			continue
		}
		req.Context.SetUnknown(key)
	}
}

// wellKnown sets what follows from the caller, the resource and the way AWS is
// called. Source: IAM guide reference_policies_condition-keys.
func (v *View) wellKnown(req *authz.Request) {
	set := func(key string, values ...string) {
		if _, present, known := req.Context.Get(key); !present && known {
			req.Context.Set(key, values...)
		}
	}
	set("aws:SecureTransport", "true")
	_, via, _ := req.Context.Get("kms:ViaService")
	set("aws:ViaAWSService", strconv.FormatBool(via))
	if catalog.ServiceOf(req.Action) == "kms" && req.Principal.Account() != "" {
		set("kms:CallerAccount", string(req.Principal.Account()))
	}
	if org := v.inv.Organization; org != nil {
		if path := v.paths[string(req.Principal.Account())]; path != nil {
			set("aws:PrincipalOrgID", org.ID)
			set("aws:PrincipalOrgPaths", orgPath(org.ID, path))
		}
		if path := v.paths[string(ownerOf(req))]; path != nil {
			set("aws:ResourceOrgID", org.ID)
			set("aws:ResourceOrgPaths", orgPath(org.ID, path))
		}
	}
	for key, value := range v.principalTags(&req.Principal) {
		set("aws:PrincipalTag/"+key, value)
	}
	if a, err := arn.Parse(req.Resource); err == nil && a.Region != "" && !strings.ContainsAny(a.Region, "*?") {
		set("aws:RequestedRegion", a.Region)
	}
}

func ownerOf(req *authz.Request) arn.AccountID {
	if req.ResourceAccount != "" {
		return req.ResourceAccount
	}
	if a, err := arn.Parse(req.Resource); err == nil && a.Account != "" {
		return a.Account
	}
	return req.Principal.Account()
}

// orgPath is an account's place as aws:PrincipalOrgPaths has it:
// o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/.
func orgPath(id string, path []*inventory.Node) string {
	text := id + "/"
	for _, n := range path[:len(path)-1] {
		text += n.ID + "/"
	}
	return text
}

// principalTags are the tags of the caller's role or user. Session tags, which
// take their place where the keys are the same, are the question's business.
func (v *View) principalTags(p *authz.Principal) map[string]string {
	switch p.Kind {
	case authz.RoleSession:
		if r, _ := v.inv.Accounts[p.Entity.Account].Role(p.Entity.Name()); r != nil {
			return r.Tags
		}
	case authz.User:
		if u, _ := v.inv.Accounts[p.ARN.Account].User(p.ARN.Name()); u != nil {
			return u.Tags
		}
	case authz.Anonymous, authz.Root, authz.FederatedUser, authz.WebIdentity, authz.SAML, authz.Service:
	}
	return nil
}

// derived keys are authz's own business.
func derived(key string) bool {
	switch key {
	case "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:principalisawsservice", "aws:principalservicename",
		"aws:userid", "aws:username", "aws:resourceaccount":
		return true
	}
	return false
}

// absent reports whether a request like req never carries key (lower case)
// unless the question sets it. Source: IAM guide
// reference_policies_condition-keys, "Availability" of each key.
func absent(key string, req *authz.Request) bool {
	assume := strings.HasPrefix(strings.ToLower(req.Action), "sts:assumerole") || strings.EqualFold(req.Action, "sts:TagSession")
	switch {
	case strings.HasPrefix(key, "aws:principaltag/"):
		return true // wellKnown sets those that there are
	case strings.HasPrefix(key, "aws:requesttag/"), key == "aws:tagkeys", key == "sts:externalid", key == "sts:transitivetagkeys", key == "sts:sourceidentity":
		return assume
	case key == "kms:viaservice", strings.HasPrefix(key, "kms:encryptioncontext"):
		return true // a question that goes through a service sets them
	case strings.HasPrefix(key, "aws:calledvia"), key == "aws:principalservicenameslist":
		return true // only in calls by services on a caller's behalf
	case key == "aws:sourcearn", key == "aws:sourceaccount", key == "aws:sourceorgid", key == "aws:sourceorgpaths":
		return req.Principal.Kind != authz.Service
	case key == "aws:principalorgid", key == "aws:principalorgpaths":
		return req.Principal.Kind == authz.WebIdentity
	}
	// Claims of tokens are carried by the exchange of a token alone.
	if issuer, claim, ok := strings.Cut(key, ":"); ok && strings.Contains(issuer, ".") && (claim == "sub" || claim == "aud" || claim == "amr") {
		return req.Principal.Kind != authz.WebIdentity
	}
	return false
}

// all lists the compiled documents of pols.
func all(pols *authz.Policies) []*authz.Policy {
	out := append([]*authz.Policy{pols.Boundary, pols.Resource}, pols.Identity...)
	for _, l := range pols.SCPs {
		out = append(out, l.Policies...)
	}
	return slices.DeleteFunc(out, func(p *authz.Policy) bool { return p == nil })
}

// keysOf lists the condition keys a document mentions, in conditions and as
// policy variables, in lower case.
func keysOf(doc *policy.Document) []string {
	keys := map[string]bool{}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		for _, c := range st.Conditions {
			keys[strings.ToLower(c.Key)] = true
		}
	}
	maps.Copy(keys, variablesOf(doc))
	return slices.Collect(maps.Keys(keys))
}

// variablesOf has the keys that a document mentions as policy variables.
func variablesOf(doc *policy.Document) map[string]bool {
	keys := map[string]bool{}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		for _, c := range st.Conditions {
			variables(keys, c.Values)
		}
		variables(keys, st.Resources)
		variables(keys, st.NotResources)
	}
	return keys
}

func variables(keys map[string]bool, texts []policy.Text) {
	for _, t := range texts {
		for rest := t.Value; ; {
			_, after, ok := strings.Cut(rest, "${")
			if !ok {
				break
			}
			end := strings.IndexAny(after, ",}")
			if end < 0 {
				break
			}
			if name := strings.TrimSpace(after[:end]); len(name) > 1 {
				keys[strings.ToLower(name)] = true
			}
			rest = after[end:]
		}
	}
}
