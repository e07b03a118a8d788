package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

// accessRules checks one Access whose references are resolved.
func (l *loader) accessRules(a *Access) {
	callers := map[string]bool{}
	for i := range a.From {
		c := &a.From[i]
		l.callerRules(c, a)
		if name := c.String(); callers[name] && c.kinds() == 1 {
			l.fail(c.Pos, CodeDuplicateItem, says{what: name + " comes twice in spec.from"})
		}
		callers[c.String()] = true
	}
	l.iamNameAt(&a.As, "spec.as", catalog.RoleNameSize, a.Pos)
	l.iamNameAt(&a.Hub, "spec.hub", catalog.RoleNameSize, a.Pos)
	l.hubRule(a)
	for i := range a.Allow {
		l.allowRules(&a.Allow[i], a)
	}
	l.durationRules(a)
	l.tagRules(a)
}

func (l *loader) callerRules(c *Caller, a *Access) {
	if sa := c.ServiceAccount; sa != nil {
		if sa.Namespace != "" && !dnsLabel(sa.Namespace) {
			l.fail(l.posOf(&sa.Namespace, c.Pos), CodeBadNamespace, says{
				what: fmt.Sprintf("namespace is %q; want a Kubernetes namespace", sa.Namespace),
				why:  "a wildcard here would let other workloads in",
				hint: "use up to 63 lower-case letters, digits and hyphens",
			})
		}
		if sa.Name != "" && !dnsSubdomain(sa.Name) {
			l.fail(l.posOf(&sa.Name, c.Pos), CodeBadSAName, says{
				what: fmt.Sprintf("name is %q; want a Kubernetes service account's name", sa.Name),
				hint: "name each service account; one element of spec.from each",
			})
		}
	}
	for _, n := range []*IAMName{c.Role, c.User} {
		if n == nil {
			continue
		}
		l.iamNameAt(&n.Name, "name", catalog.RoleNameSize, c.Pos)
		if n.ExternalID != "" && a.Via == ResourcePolicy {
			l.fail(l.posOf(&n.ExternalID, c.Pos), CodeBadExternalID, says{
				what: "externalID has no effect with via: resourcePolicy", why: "an external id accompanies an AssumeRole call, and there is none",
				hint: "leave it out",
			})
		}
	}
	l.pattern(c, a.Via, l.posOf(&a.Via, a.Pos))
	for i := range a.Allow {
		if w := &a.Allow[i]; w.Via != "" && w.Via != a.Via {
			l.pattern(c, w.Via, l.posOf(&w.Via, w.Pos))
		}
	}
}

// pattern reports a pattern that a caller of its kind cannot use.
func (l *loader) pattern(c *Caller, via Pattern, pos Pos) {
	switch {
	case c.ServiceAccount != nil && via == AssumeRole:
		l.fail(pos, CodePattern, says{
			what: "via: assumeRole does not fit a service account", why: "its token signs no AWS request, so it cannot call AssumeRole itself",
			hint: "use webIdentity, or chain for a hub role that calls AssumeRole",
		})
	case (c.Role != nil || c.User != nil) && (via == WebIdentity || via == Chain || via == PodIdentityVia):
		l.fail(pos, CodePattern, says{
			what: fmt.Sprintf("via: %s is for service accounts", via), hint: "roles and users take assumeRole or resourcePolicy",
		})
	}
}

func (l *loader) hubRule(a *Access) {
	if a.Hub == "" || len(a.From) == 0 {
		return
	}
	hasSA := slices.ContainsFunc(a.From, func(c Caller) bool { return c.ServiceAccount != nil })
	if !hasSA || a.Via == WebIdentity {
		l.fail(l.posOf(&a.Hub, a.Pos), CodePattern, says{
			what: "spec.hub has no effect here", why: "a hub role lies between a service account and the target role of a chain",
			hint: "leave it out, or write via: chain",
		})
	}
}

func (l *loader) durationRules(a *Access) {
	d := a.Session.MaxDuration
	pos := l.posOf(&a.Session.MaxDuration, a.Pos)
	least, most := catalog.MinMaxSessionSeconds*time.Second, catalog.MaxMaxSessionSeconds*time.Second
	if d < least || d > most || d%time.Second != 0 {
		l.fail(pos, CodeBadDuration, says{what: fmt.Sprintf("spec.session.maxDuration is %s; IAM allows 1h to 12h in whole seconds", d)})
		return
	}
	if d > catalog.ChainedSessionSeconds*time.Second && a.chains() {
		l.warn(pos, CodeChainedDuration, says{
			what: fmt.Sprintf("spec.session.maxDuration is %s, but the target role's sessions end after 1h", d),
			why:  "AWS limits a session that was assumed with a role's credentials (role chaining) to one hour",
		})
	}
}

// chains reports whether the target role is certainly assumed with a role's credentials.
func (a *Access) chains() bool {
	return a.Via == Chain || (a.Via != ResourcePolicy && slices.ContainsFunc(a.From, func(c Caller) bool { return c.Role != nil }))
}

// tagRules: STS API reference, AssumeRole, Tags; IAM guide id_session-tags.
func (l *loader) tagRules(a *Access) {
	tags := a.Session.Tags
	pos := l.posOf(&a.Session.Tags, a.Pos)
	if len(tags) > catalog.SessionTags {
		l.fail(pos, CodeBadTag, says{what: fmt.Sprintf("%d session tags; STS takes %d", len(tags), catalog.SessionTags)})
	}
	folded := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := l.posOf(entry{&a.Session.Tags, key}, pos)
		other, twice := folded[strings.ToLower(key)]
		folded[strings.ToLower(key)] = key
		switch {
		case twice:
			l.fail(at, CodeBadTag, says{what: fmt.Sprintf("session tag keys %q and %q differ only in letter case", other, key), why: "STS takes them for the same key"})
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			l.fail(at, CodeBadTag, says{what: fmt.Sprintf("session tag key %q begins with the reserved \"aws:\"", key)})
		case !tagText(key, 1, catalog.SessionTagKeySize) || !tagText(tags[key], 0, catalog.SessionTagValueSize):
			l.fail(at, CodeBadTag, says{
				what: fmt.Sprintf("session tag %q is not one that STS takes", key),
				why:  fmt.Sprintf("a key has 1 to %d, a value up to %d letters, digits, spaces and _.:/=+-@", catalog.SessionTagKeySize, catalog.SessionTagValueSize),
			})
		}
	}
	if len(tags) > 0 && a.Via == WebIdentity {
		l.fail(pos, CodePattern, says{
			what: "spec.session.tags do not work with via: webIdentity", why: "with web identity, tags come from a claim of the token, and a cluster's tokens carry none",
			hint: "use via: chain, whose hub role passes the tags",
		})
	}
}

// allowRules checks one item of what is allowed.
func (l *loader) allowRules(w *Allow, a *Access) {
	if (w.Grant == "") == (len(w.Actions) == 0) {
		return // reported on reading
	}
	via := w.Via
	if via == "" {
		via = a.Via
	}
	resources := l.resources(w, a, via)
	if w.Grant != "" {
		l.grantRules(w, resources)
		return
	}
	l.actionRules(w, resources, via)
}

func (l *loader) grantRules(w *Allow, resources []arn.ARN) {
	pos := l.posOf(&w.Grant, w.Pos)
	bundle, ok := catalog.LookUp(w.Grant)
	if !ok {
		names := catalog.BundleNames()
		l.fail(pos, CodeUnknownGrant, says{what: fmt.Sprintf("unknown grant %q", w.Grant), why: "grants: " + strings.Join(names, ", "), hint: diag.DidYouMean(w.Grant, names)})
		return
	}
	if !bundle.NeedsResources() {
		if len(w.Resources) > 0 && !slices.Equal(w.Resources, []string{catalog.Everything}) {
			l.fail(l.posOf(&w.Resources, w.Pos), CodeGrantMismatch, says{what: fmt.Sprintf("grant %s takes no resources", w.Grant), why: "its actions work on the whole account only", hint: "leave the field out"})
		}
		w.Resources = nil
		return
	}
	if _, tried := l.at[&w.Resources]; !tried {
		l.fail(w.Pos, CodeMissingField, says{what: fmt.Sprintf("grant %s has no field \"resources\"", w.Grant), hint: fmt.Sprintf("name the %ss by ARN", bundle.Type)})
	}
	for i, r := range resources {
		if !r.IsZero() && !bundle.Fits(r) {
			l.fail(l.posOf(&w.Resources[i], w.Pos), CodeGrantMismatch, says{what: fmt.Sprintf("grant %s has no action for %q", w.Grant, w.Resources[i]), hint: fmt.Sprintf("it takes the ARN of a %s", bundle.Type)})
		}
	}
	if i := slices.Index(w.Resources, catalog.Everything); i >= 0 {
		l.fail(l.posOf(&w.Resources[i], w.Pos), CodeGrantMismatch, says{what: fmt.Sprintf("grant %s needs ARNs, not \"*\"", w.Grant), hint: fmt.Sprintf("for all of an account, write an ARN with a wildcard at its end, as in a %s's", bundle.Type)})
	}
}

func (l *loader) actionRules(w *Allow, resources []arn.ARN, via Pattern) {
	valid := true
	for i := range w.Actions {
		valid = l.action(&w.Actions[i], w.Pos) && valid
	}
	if !valid {
		return
	}
	onlyWildcard := !slices.ContainsFunc(w.Actions, func(a string) bool { return !catalog.WildcardOnly(a) })
	if _, tried := l.at[&w.Resources]; !tried {
		if onlyWildcard {
			w.Resources = []string{catalog.Everything}
			return
		}
		l.fail(w.Pos, CodeMissingField, says{what: `an element of spec.allow has no field "resources"`, hint: "name what the actions may touch, by ARN"})
		return
	}
	if i := slices.Index(w.Resources, catalog.Everything); i >= 0 {
		if !onlyWildcard && via != ResourcePolicy { // where "*" is an error already
			l.warn(l.posOf(&w.Resources[i], w.Pos), CodeWildcard, says{
				what: "\"*\" allows the actions on everything in the account",
				hint: "name resources by ARN; keep \"*\" for actions that know nothing else, such as eks:ListClusters, in an element of their own",
			})
		}
		return
	}
	for i := range w.Actions {
		l.actionMeetsResources(&w.Actions[i], w, resources)
	}
}

// condition checks an operator and a key.
func (l *loader) condition(c Condition, operatorPos, keyPos Pos) {
	if !catalog.KnownOperator(c.Operator) {
		l.fail(operatorPos, CodeBadOperator, says{what: fmt.Sprintf("unknown condition operator %q", c.Operator), hint: suggestOperator(c.Operator)})
	}
	prefix, name, ok := strings.Cut(c.Key, ":")
	if !ok || prefix == "" || name == "" || strings.ContainsAny(c.Key, " \t\n") {
		l.fail(keyPos, CodeBadConditionKey, says{what: fmt.Sprintf("%q is not a condition key", c.Key), hint: "write prefix:name, as in \"aws:SourceVpc\""})
	}
	l.conditionPlaceholders(c, keyPos)
}

// conditionPlaceholders checks every ${…} of a condition's values: beside the
// placeholders that resources know, IAM's own policy variables, whose names hold
// a colon, and the escapes ${*}, ${?} and ${$}.
func (l *loader) conditionPlaceholders(c Condition, pos Pos) {
	for _, value := range c.Values {
		for rest := value; ; {
			_, after, ok := strings.Cut(rest, "${")
			if !ok {
				break
			}
			name, tail, closed := strings.Cut(after, "}")
			if variable := strings.Contains(name, ":") || slices.Contains([]string{"*", "?", "$"}, name); !closed || !variable && !slices.Contains(placeholderNames[:], name) {
				l.unknownPlaceholder(value, name, pos, "only ${account} and ${region} are replaced, by the target's; IAM's own variables are named as in ${aws:username}")
				break
			}
			rest = tail
		}
	}
}

func suggestOperator(op string) string {
	set, base, ok := strings.Cut(op, ":")
	if !ok {
		set, base = "", op
	} else if set = diag.Suggest(set, []string{"ForAllValues", "ForAnyValue"}); set != "" {
		set += ":"
	}
	stem, ifExists := strings.CutSuffix(base, "IfExists")
	near := diag.Suggest(stem, catalog.ConditionOperators())
	if near == "" {
		return "set prefixes are ForAllValues: and ForAnyValue:, the suffix is IfExists"
	}
	if ifExists && near != "Null" {
		near += "IfExists"
	}
	return fmt.Sprintf("did you mean %q?", set+near)
}
