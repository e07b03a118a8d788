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
// from what is known, and marks every other key that the documents mention as
// unknown, unless such a request never carries it.
func (v *View) complete(req *authz.Request, said *said) {
	if len(said.keys) == 0 && !said.userid {
		return
	}
	v.wellKnown(req, nil, said.anyTags)
	v.open(req, said)
}

// completeFor is complete without the keys that no document mentions, which
// make no difference to the outcome.
func (v *View) completeFor(req *authz.Request, said *said) {
	if len(said.keys) == 0 && !said.userid {
		return
	}
	v.wellKnown(req, said.keys, said.anyTags)
	v.open(req, said)
}

// open marks the keys that documents mention and that are not known.
func (v *View) open(req *authz.Request, said *said) {
	o := v.opener(req)
	o.anyTags = said.anyTags
	for _, key := range said.keys {
		o.mentioned(key)
	}
	if v.pathless(&req.Principal) && slices.Contains(said.keys, "aws:principalarn") {
		if _, given, known := req.Context.Get("aws:PrincipalArn"); !given && known {
			req.Context.SetUnknown("aws:PrincipalArn")
		}
	}
	if _, given, known := req.Context.Get("aws:userid"); said.userid && o.nameless && !given && known {
		req.Context.SetUnknown("aws:userid")
	}
}

// opener marks the keys of a request that are not known.
type opener struct {
	view     *View
	req      *authz.Request
	call     catalog.Call
	assume   bool // the request is for a session
	nameless bool // the caller's session name is made up
	anyTags  bool // the caller's session may have tags of which nothing is known
}

func (v *View) opener(req *authz.Request) opener {
	return opener{
		view: v, req: req, assume: assumes(req.Action), nameless: nameless(&req.Principal),
		call: catalog.Call{Action: req.Action, Caller: req.Principal.Kind, ViaService: viaService(&req.Context)},
	}
}

// viaService reports whether a service asks on the caller's behalf, though it
// may not be known which.
func viaService(c *authz.Context) bool {
	_, via, known := c.Get("kms:viaservice")
	return via || !known
}

func (o *opener) mentioned(key string) {
	if _, present, known := o.req.Context.Get(key); !present && known && !derived(key) && !o.absent(key) {
		o.req.Context.SetUnknown(key)
	}
}

// wellKnown sets what follows from the caller, the resource and the way AWS is
// called. Source: IAM guide reference_policies_condition-keys. Where wanted is
// not nil, only keys in it are set: names in lower case, sorted. anyTags says
// that what tags the caller has is not known.
func (v *View) wellKnown(req *authz.Request, wanted []string, anyTags bool) {
	t := telling{req, wanted}
	t.set("aws:SecureTransport", "true")
	t.set("aws:ViaAWSService", strconv.FormatBool(viaService(&req.Context)))
	if catalog.ServiceOf(req.Action) == "kms" {
		if req.Principal.Account() != "" {
			t.set("kms:CallerAccount", string(req.Principal.Account()))
		}
		if name, wanted := t.wants("kms:ResourceAliases"); wanted {
			if k := v.keyOf(req.Resource); k != nil && len(k.Aliases) > 0 {
				setAbsent(&req.Context, name, k.Aliases...)
			}
		}
	}
	if t.any("aws:principalorg") {
		v.tellOrganization(&t, "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", req.Principal.Account())
	}
	if t.any("aws:resourceorg") {
		v.tellOrganization(&t, "aws:ResourceOrgID", "aws:ResourceOrgPaths", ownerOf(req))
	}
	if t.any("aws:principaltag/") && !anyTags {
		t.tags("aws:PrincipalTag/", v.principalTags(&req.Principal))
	}
	if wanted == nil || slices.ContainsFunc(wanted, isResourceTag) {
		v.tellResourceTags(&t)
	}
	if _, wanted := t.wants("aws:RequestedRegion"); !wanted {
		return
	}
	if a, err := arn.Parse(req.Resource); err == nil && a.Region != "" && !strings.ContainsAny(a.Region, "*?") {
		t.set("aws:RequestedRegion", a.Region)
	} else if catalog.ServiceOf(req.Action) == "iam" && req.Principal.ARN.Partition == "aws" {
		t.set("aws:RequestedRegion", "us-east-1") // "IAM calls are always made to the us-east-1 Region"
	}
}

// telling gives a request keys whose values are known, unless it has them.
type telling struct {
	req    *authz.Request
	wanted []string // nil: all; else lower case, sorted
}

// wants reports whether somebody asks for a key, and gives it as spelled there.
func (t *telling) wants(key string) (name string, ok bool) {
	if t.wanted == nil {
		return key, true
	}
	for _, w := range t.wanted {
		if len(w) == len(key) && strings.EqualFold(w, key) {
			return w, true
		}
	}
	return "", false
}

// any reports whether somebody asks for a key that begins with prefix.
func (t *telling) any(prefix string) bool {
	i, _ := slices.BinarySearch(t.wanted, prefix)
	return t.wanted == nil || i < len(t.wanted) && strings.HasPrefix(t.wanted[i], prefix)
}

func (t *telling) set(key, value string) {
	if name, wanted := t.wants(key); wanted {
		setAbsent(&t.req.Context, name, value)
	}
}

// tags sets tags under a prefix as AWS spells it.
func (t *telling) tags(prefix string, tags map[string]string) {
	if t.wanted == nil {
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			setAbsent(&t.req.Context, prefix+key, tags[key])
		}
		return
	}
	for _, key := range t.wanted {
		name, isTag := cutPrefixFold(key, prefix)
		if !isTag {
			continue
		}
		for tag, value := range tags { // their names differ by more than case
			if strings.EqualFold(tag, name) {
				setAbsent(&t.req.Context, key, value)
			}
		}
	}
}

func cutPrefixFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// tellOrganization sets the organization of an account, as far as it is known:
// the account may say which one it is in though that was not read.
func (v *View) tellOrganization(t *telling, idKey, pathsKey string, id arn.AccountID) {
	if path := v.inOrganization(id); path != nil {
		t.set(idKey, v.inv.Organization.ID)
		if _, wanted := t.wants(pathsKey); wanted {
			t.set(pathsKey, orgPath(v.inv.Organization.ID, path))
		}
	} else if a := v.inv.Accounts[id]; a != nil && a.Member.State == inventory.Exists {
		t.set(idKey, a.Member.Organization)
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
	case authz.User, authz.FederatedUser:
		user := entityOf(p)
		if u, _ := v.inv.Accounts[user.Account].User(user.Name()); u != nil && user.Type() == "user" {
			return u.Tags
		}
	case authz.Anonymous, authz.Root, authz.WebIdentity, authz.SAML, authz.Service:
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

// assumes reports whether action asks for a session.
func assumes(action string) bool {
	_, found := cutPrefixFold(action, "sts:AssumeRole")
	return found || strings.EqualFold(action, "sts:TagSession") || strings.EqualFold(action, "sts:SetSourceIdentity")
}

// absent reports whether the request does not carry key (lower case) unless the
// question sets it.
func (o *opener) absent(key string) bool {
	switch {
	case strings.HasPrefix(key, "aws:principaltag/"):
		return !o.anyTags && !o.tagsUnread() // wellKnown sets those that there are
	case isResourceTag(key):
		_, known := o.view.resourceTags(o.req)
		return known && slices.ContainsFunc(tagPrefixes(o.req), func(p string) bool { return strings.HasPrefix(key, strings.ToLower(p)) }) || o.never(key)
	case strings.HasPrefix(key, "aws:requesttag/"), key == "aws:tagkeys", key == "sts:externalid", key == "sts:transitivetagkeys", key == "sts:sourceidentity":
		return o.assume || o.never(key)
	case strings.HasPrefix(key, "kms:encryptioncontext"):
		return !o.call.ViaService // a service sets it, and the question where it is known
	case strings.HasPrefix(key, "aws:calledvia"):
		return true // only few services that call on a caller's behalf are told so
	case key == "aws:principalorgid", key == "aws:principalorgpaths":
		return o.never(key) || o.view.inNone(o.req.Principal.Account())
	case key == "aws:resourceorgid", key == "aws:resourceorgpaths":
		return o.view.inNone(ownerOf(o.req))
	}
	return o.never(key)
}

// never reports whether no such request carries key.
func (o *opener) never(key string) bool {
	known := presenceOf{key, o.call.Action, o.call.Caller, o.call.ViaService}
	never, ok := o.view.never.Load(known)
	if !ok {
		presence, _ := catalog.KeyPresence(key, o.call)
		never, _ = o.view.never.LoadOrStore(known, presence == catalog.Never)
	}
	return never.(bool)
}

// presenceOf is a question to the catalog.
type presenceOf struct {
	key, action string
	caller      authz.PrincipalKind
	via         bool
}

// tagsUnread reports whether the tags of the caller's role or user are not known.
func (o *opener) tagsUnread() bool {
	switch entity := entityOf(&o.req.Principal); entity.Type() {
	case "role":
		_, state := o.view.inv.Accounts[entity.Account].Role(entity.Name())
		return state == inventory.NotAsked || state == inventory.Unread
	case "user":
		_, state := o.view.inv.Accounts[entity.Account].User(entity.Name())
		return state == inventory.NotAsked || state == inventory.Unread
	}
	return false
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
