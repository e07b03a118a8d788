package importer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// thing is what is to be put into the inventory, or taken out: which, where, and
// whether it is made anew, so that nothing of an earlier one of its name stays.
type thing struct {
	place
	account   arn.AccountID
	region    string
	partition string
	name      string
	arn       string
	anew      bool
}

// roleSpec is what a role is to be. Values that are not given change nothing
// where the role is there already.
type roleSpec struct {
	path                 string
	trust, boundary      value
	description, session value
	tags                 map[string]string
}

// othersUnread stands for the policies of a principal that the input does not
// manage and nobody read.
const othersUnread = "policies that the input does not manage were not read"

func (o *overlay) putRole(t thing, s roleSpec) {
	a := o.account(t.account)
	what := "role " + t.name
	put(a.Roles, strings.ToLower(t.name), t.anew, func(r *inventory.Role) {
		if r.ARN == "" && !t.anew {
			r.Attached = []string{inventory.Unknown(othersUnread)}
		}
		if r.ARN != t.arn {
			r.ID = ""
		}
		r.ARN, r.Name, r.Path = t.arn, t.name, s.path
		r.Trust = o.document(t.account, t.place, "trust policy of "+what, s.trust)
		r.Boundary = o.boundary(t, what, s.boundary)
		if !s.description.none() {
			r.Description = s.description.known()
		}
		if n, err := strconv.Atoi(s.session.known()); err == nil {
			r.MaxSession = n
		}
		if s.tags != nil {
			r.Tags = s.tags
		}
	})
}

// boundary is the ARN of the permissions boundary a principal is to have. A null
// takes the one away that was there.
func (o *overlay) boundary(t thing, what string, v value) string {
	text := o.scalar(t.account, t.place, "permissions boundary of "+what, v)
	if _, unread := inventory.WhyUnknown(text); unread {
		o.account(t.account).Managed[text] = &inventory.Managed{ARN: text, Document: text}
	}
	return text
}

func (o *overlay) putUser(t thing, path string, boundary value, tags map[string]string) {
	put(o.account(t.account).Users, strings.ToLower(t.name), t.anew, func(u *inventory.User) {
		if u.ARN == "" && !t.anew {
			u.Attached = []string{inventory.Unknown(othersUnread)}
		}
		if u.ARN != t.arn {
			u.ID = ""
		}
		u.ARN, u.Name, u.Path = t.arn, t.name, path
		u.Boundary = o.boundary(t, "user "+t.name, boundary)
		if tags != nil {
			u.Tags = tags
		}
	})
}

func (o *overlay) putGroup(t thing) {
	g, known := o.group(t.account, t.name)
	switch {
	case t.anew:
		g = inventory.Group{Name: t.name}
	case !known:
		g.Attached = []string{inventory.Unknown(othersUnread)}
	}
	o.setGroup(t.account, g)
}

func (o *overlay) putManaged(t thing, document value) {
	text := o.document(t.account, t.place, "policy "+t.arn, document)
	o.account(t.account).Managed[t.arn] = &inventory.Managed{ARN: t.arn, Document: text}
}

func (o *overlay) putProvider(t thing, audiences value, tags map[string]string) {
	url := strings.TrimPrefix(t.name, "https://")
	put(o.account(t.account).Providers, url, t.anew, func(p *inventory.OIDCProvider) {
		p.ARN, p.URL = t.arn, url
		ids, why := audiences.texts()
		if why != "" {
			o.unread(t.account, t.place, "audiences of OIDC provider "+url, why)
		}
		p.ClientIDs = ids
		if tags != nil {
			p.Tags = tags
		}
	})
}

func (o *overlay) putSAML(t thing, tags map[string]string) {
	put(o.account(t.account).SAML, t.arn, t.anew, func(p *inventory.SAMLProvider) {
		p.ARN, p.Name = t.arn, t.name
		if tags != nil {
			p.Tags = tags
		}
	})
}

// holderUnknown says that a change of a principal's policies could not be applied,
// because nobody knows the principal.
func (o *overlay) holderUnknown(at place, h holder, what string) {
	o.problem(h.account, h.String(), at.address+" changes "+what+" of it, and it is neither in the inventory nor in the input")
	o.find(at, diag.Warning, CodeMissing, h.String()+" of account "+string(h.account)+" is neither in the inventory nor in the input, so "+what+" is left out",
		"read the account's IAM into the inventory first")
}

// putInline sets an inline policy.
func (o *overlay) putInline(at place, h holder, name string, document value) {
	text := o.document(h.account, at, "inline policy "+name+" of "+h.String(), document)
	if !o.setInline(h, name, text) {
		o.holderUnknown(at, h, "inline policy "+name)
	}
}

// putAttachment attaches a managed policy, or what stands for one.
func (o *overlay) putAttachment(at place, h holder, policy string) {
	if why, unread := inventory.WhyUnknown(policy); unread {
		o.unread(h.account, at, "a managed policy of "+h.String(), strings.TrimPrefix(why, at.address+": "))
	}
	if !o.attach(h, policy) {
		o.holderUnknown(at, h, "managed policy "+policy)
	}
}

// exclusive replaces the attached policies by those of the list when it is known,
// as inputs that manage them exclusively do.
func (o *overlay) exclusive(at place, h holder, list value) {
	refs, why := list.texts()
	if why != "" {
		o.putAttachment(at, h, inventory.Unknown(at.address+": "+why))
		return
	}
	o.change(h, func(p *policies) { p.attached = refs })
}

// placeless says that something cannot be put anywhere, because its name is not
// known. Then nothing of its kind in the account is known to be absent.
func (o *overlay) placeless(at place, id arn.AccountID, what, why string) {
	o.find(at, diag.Warning, CodeUnknownName, what+" is left out, for its name is not known: "+why, hintFor(why))
	if id == "" {
		return
	}
	o.problem(id, what+" of unknown name", at.address+": "+why)
	a := o.account(id)
	if what == "role" || what == "user" {
		a.Complete = false
	}
}

// hintFor says what to give so that a template's value becomes known.
func hintFor(why string) string {
	switch {
	case strings.Contains(why, "stack's name"), strings.Contains(why, "AWS::StackName"):
		return "name the stack"
	case strings.HasPrefix(why, "parameter ") && strings.HasSuffix(why, " has no value"):
		return "give the parameter a value"
	}
	return ""
}

// sortedUnique sorts names and drops repetitions.
func sortedUnique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
