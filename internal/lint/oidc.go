package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// eksIssuer begins the issuers of EKS clusters, and eksSubject their subjects.
const (
	eksIssuer    = "oidc.eks."
	eksSubject   = "system:serviceaccount:"
	githubIssuer = "token.actions.githubusercontent.com"
)

// issuer is an OIDC provider a statement trusts.
type issuer struct {
	url  string // host and path, without https://
	text policy.Text
}

// issuersOf lists the OIDC providers st names.
func issuersOf(st *policy.Statement) []issuer {
	var out []issuer
	for _, e := range st.Principal.Entries {
		if e.Type != "Federated" {
			continue
		}
		if e.Value.Value == "cognito-identity.amazonaws.com" {
			out = append(out, issuer{url: e.Value.Value, text: e.Value})
			continue
		}
		if a, err := arn.Parse(e.Value.Value); err == nil && a.Type() == "oidc-provider" {
			out = append(out, issuer{url: strings.TrimPrefix(strings.TrimPrefix(a.Resource, "oidc-provider/"), "https://"), text: e.Value})
		}
	}
	return out
}

// webIdentity holds the rules on trust in OIDC providers.
func (r *report) webIdentity(st *policy.Statement) {
	issuers := issuersOf(st)
	if len(issuers) == 0 {
		return
	}
	named(issuers, st)
	if !allows(st, "sts:AssumeRoleWithWebIdentity") && !r.misspelt(st) {
		r.add(issuers[0].text.Pos, rule.Finding{
			Code:    rule.WrongAction,
			Summary: "bearers of OIDC tokens call sts:AssumeRoleWithWebIdentity, which this statement does not allow",
			Hint:    `write "Action": "sts:AssumeRoleWithWebIdentity"`,
		})
	}
	faulty := false // a condition was meant and does not work; it has its own finding
	for _, c := range st.Conditions {
		faulty = r.claimKey(c, issuers) || faulty
		faulty = faulty || !policy.SplitOperator(c.Operator).Known()
	}
	for _, iss := range issuers {
		if iss.url == "cognito-identity.amazonaws.com" && len(st.Conditions) == 0 {
			continue // which IAM refuses, and so Validate reports
		}
		r.subject(st, iss, faulty)
		r.audience(st, iss)
		r.subjectValues(st, iss)
		r.guests(st, iss)
	}
}

// named takes, for a provider whose name a template does not tell, the issuer
// that the condition keys name.
func named(issuers []issuer, st *policy.Statement) {
	if len(issuers) != 1 || !tree.Unresolved(issuers[0].url) {
		return
	}
	for _, c := range st.Conditions {
		url, claim, ok := cutLast(c.Key, ":")
		if ok && (claim == "sub" || claim == "aud") && (strings.Contains(url, ".") || tree.Unresolved(url)) {
			issuers[0].url = url
			return
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// claimKey is T05. It reports whether the condition cannot do what it was
// written for.
func (r *report) claimKey(c policy.Condition, issuers []issuer) bool {
	key := strings.ToLower(c.Key)
	if tree.Unresolved(key) || strings.HasPrefix(key, "aws:") || strings.HasPrefix(key, "sts:") {
		return false
	}
	bare := strings.TrimPrefix(key, "https://")
	for _, iss := range issuers {
		url := strings.ToLower(iss.url)
		rest, mine := strings.CutPrefix(bare, url)
		switch {
		case !mine || rest != "" && rest[0] != ':' && rest[0] != '/':
			continue
		case bare != key:
			r.add(c.Pos, rule.Finding{
				Code:    rule.ClaimMissing,
				Summary: fmt.Sprintf("the condition key %q begins with https://; no token has such a key", c.Key),
				Hint:    fmt.Sprintf("write %q", bareKey(c.Key)), Fix: bareKey(c.Key),
			})
			return true
		case rest == "" || rest[0] == '/':
			r.claimMissing(c, iss, rest)
			return true
		}
		return r.claim(c, iss, rest[1:])
	}
	host, _, hasClaim := strings.Cut(bare, ":")
	if !strings.Contains(host, ".") || tree.Unresolved(issuers[0].url) {
		return false
	}
	r.otherIssuer(c, issuers[0], hasClaim)
	return true
}

func (r *report) claimMissing(c policy.Condition, iss issuer, rest string) {
	claim := "sub"
	if rest == "/aud" || len(c.Values) > 0 && c.Values[0].Value == "sts.amazonaws.com" {
		claim = "aud"
	}
	r.add(c.Pos, rule.Finding{
		Code:    rule.ClaimMissing,
		Summary: fmt.Sprintf("the condition key %q names the issuer and no claim", c.Key),
		Detail:  "No token carries such a key, so the condition never holds and nobody can assume the role.",
		Hint:    fmt.Sprintf("write %q", iss.url+":"+claim), Fix: iss.url + ":" + claim,
	})
}

// bareKey is a condition key without the scheme that some put in front.
func bareKey(key string) string {
	if key = key[len("https://"):]; strings.Contains(key, ":") {
		return key
	}
	return key + ":sub"
}

func (r *report) otherIssuer(c policy.Condition, iss issuer, hasClaim bool) {
	d := rule.Finding{
		Code:    rule.OtherIssuer,
		Summary: fmt.Sprintf("the condition key %q is of another issuer than the principal, %s", c.Key, iss.url),
		Detail:  "A token brings the keys of its own issuer only, so the condition never holds.",
		Hint:    fmt.Sprintf("write %q", iss.url+":sub"),
	}
	if _, claim, _ := strings.Cut(c.Key, ":"); hasClaim {
		d.Fix = iss.url + ":" + claim
		d.Hint = fmt.Sprintf("write %q", d.Fix)
	}
	r.add(c.Pos, d)
}

// claim checks the name of a claim. Issuers may have claims of their own, so
// only what is certain is reported: EKS tokens have aud and sub, and iss is
// no condition key of any issuer.
func (r *report) claim(c policy.Condition, iss issuer, claim string) bool {
	known := []string{"sub", "aud"}
	near := map[string]string{"subject": "sub", "audience": "aud"}[claim]
	if near == "" {
		near = policy.Closest(claim, known)
	}
	eks := strings.HasPrefix(iss.url, eksIssuer)
	if slices.Contains(known, claim) || !eks && (claim == "oaud" || near == "" && claim != "iss") {
		return false
	}
	d := rule.Finding{
		Code:    rule.UnknownClaim,
		Summary: fmt.Sprintf("there is no claim %q to test", claim),
		Detail:  "The condition never holds, so nobody can assume the role.",
		Hint:    "remove the condition: the issuer is checked by the provider the principal names",
	}
	if near != "" {
		d.Fix = iss.url + ":" + near
		d.Hint = fmt.Sprintf("write %q", d.Fix)
	}
	r.add(c.Pos, d)
	return near == "sub"
}

func isClaim(iss issuer, claim string) func(string) bool { return anyOf(iss.url + ":" + claim) }

// subject reports trust that does not depend on who bears the token.
func (r *report) subject(st *policy.Statement, iss issuer, faulty bool) {
	claim := "sub"
	code, summary := rule.NoSubject, fmt.Sprintf("whoever has a token of %s may assume the role", iss.url)
	if known, ok := catalog.IssuerFor(iss.url); ok && known.Shared { // T01
		if known.Claim == "" && restricts(st, anyOf(known.PinKey)) == tested {
			return
		}
		claim, code = cmp.Or(known.Claim, claim), rule.SharedIssuer
		summary = fmt.Sprintf("%s issues tokens to many organizations, and whoever has one may assume the role", iss.url)
	}
	if strings.HasPrefix(iss.url, eksIssuer) {
		summary = "every service account of the cluster may assume the role"
	}
	switch restricts(st, isClaim(iss, claim)) {
	case tested:
	case vacuous:
		r.vacuous(st, iss, claim)
	case untested:
		if faulty || r.meant(st, iss, claim) {
			return // the condition that was meant has its own finding
		}
		r.add(iss.text.Pos, rule.Finding{
			Severity: r.subjectSeverity(st, iss, code), Code: code, Summary: summary,
			Detail: fmt.Sprintf("The statement has no condition that %s:%s must equal something.", iss.url, claim),
			Hint:   fmt.Sprintf(`add "StringEquals": {"%s:%s": "%s"}`, iss.url, claim, exampleClaim(iss, claim)),
		})
	}
}

// meant reports whether a positive condition on the claim exists whose values
// are all too wide, which subjectValues reports.
func (r *report) meant(st *policy.Statement, iss issuer, claim string) bool {
	return claim == "sub" && slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		op := policy.SplitOperator(c.Operator)
		return isClaim(iss, claim)(c.Key) && op.Base == "StringLike" && op.Set == ""
	})
}

// subjectSeverity makes the finding a warning where another claim than aud
// narrows the trust: private issuers have claims of their own.
func (r *report) subjectSeverity(st *policy.Statement, iss issuer, code string) rule.Severity {
	others := func(key string) bool {
		return strings.HasPrefix(strings.ToLower(key), strings.ToLower(iss.url)+":") && !isClaim(iss, "aud")(key) && !isClaim(iss, "sub")(key)
	}
	if code == rule.NoSubject && restricts(st, others) == tested {
		return rule.Medium
	}
	return rule.OfRule
}

func exampleClaim(iss issuer, claim string) string {
	switch {
	case claim == "aud":
		return "…"
	case strings.HasPrefix(iss.url, eksIssuer):
		return eksSubject + "NAMESPACE:NAME"
	case iss.url == githubIssuer:
		return "repo:ORGANIZATION/REPOSITORY:ref:refs/heads/BRANCH"
	}
	return "…"
}

// vacuous is T03.
func (r *report) vacuous(st *policy.Statement, iss issuer, claim string) {
	for _, c := range st.Conditions {
		if isClaim(iss, claim)(c.Key) && strengthOf(st, c) == vacuous {
			op := policy.SplitOperator(c.Operator)
			r.add(c.OperatorPos, rule.Finding{
				Code:    rule.VacuousClaim,
				Summary: fmt.Sprintf("%s lets a token without the claim %s pass", c.Operator, claim),
				Hint:    fmt.Sprintf("use %s", op.Base), Fix: op.Base,
			})
		}
	}
}

// audience is T02.
func (r *report) audience(st *policy.Statement, iss issuer) {
	meant := slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		_, claim, _ := strings.Cut(strings.ToLower(c.Key), ":")
		return claim == "aud" || claim == "audience" || claim == "oaud"
	})
	switch strength := restricts(st, isClaim(iss, "aud")); {
	case strength == vacuous:
		r.vacuous(st, iss, "aud")
		return
	case meant || strength == tested:
		return
	}
	if known, ok := catalog.IssuerFor(iss.url); ok && known.Shared && known.Claim == "aud" {
		return // reported as T01
	}
	r.add(iss.text.Pos, rule.Finding{
		Code:    rule.NoAudience,
		Summary: fmt.Sprintf("tokens of %s are accepted whatever audience they were issued for", iss.url),
		Detail:  "Any audience the provider has registered passes; a token meant for another service could be replayed here.",
		Hint:    fmt.Sprintf(`add "StringEquals": {"%s:aud": "sts.amazonaws.com"}`, iss.url),
	})
}

// verdict is what is the matter with a value of sub; severity counts only when
// summary is set.
type verdict struct {
	severity rule.Severity
	code     string
	summary  string
	hint     string
}

// subjectValues is T06: the widest value of the list decides, but a second
// condition on sub may narrow it again.
func (r *report) subjectValues(st *policy.Statement, iss issuer) {
	type finding struct {
		pos policy.Pos
		verdict
	}
	var found []finding
	narrowed := false
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		if !isClaim(iss, "sub")(c.Key) || op.Negated() || !strings.HasPrefix(op.Base, "String") {
			continue
		}
		wide := false
		for _, v := range c.Values {
			if w := judgeSubject(iss, v.Value, op.Base == "StringLike"); w.summary != "" {
				found = append(found, finding{v.Pos, w})
				wide = wide || w.code == rule.WideSubject
			}
		}
		narrowed = narrowed || !wide && strengthOf(st, c) == tested
	}
	for _, f := range found {
		if f.code != rule.WideSubject || !narrowed {
			r.add(f.pos, rule.Finding{Severity: f.severity, Code: f.code, Summary: f.summary, Hint: f.hint})
		}
	}
}

func judgeSubject(iss issuer, value string, like bool) verdict {
	switch {
	case tree.Unresolved(value):
		return verdict{}
	case like && strings.Trim(value, "*?") == "":
		severity := rule.OfRule
		if known, ok := catalog.IssuerFor(iss.url); ok && known.Shared && known.Claim == "sub" {
			severity = rule.Critical // as without a condition
		}
		return verdict{severity, rule.WideSubject, "every subject of " + iss.url + " matches " + value, "name the subject: " + exampleClaim(iss, "sub")}
	case strings.HasPrefix(iss.url, eksIssuer):
		return judgeServiceAccount(value, like)
	case iss.url == githubIssuer:
		return judgeRepository(value, like)
	}
	return judgeShared(iss, value, like)
}

// judgeServiceAccount judges system:serviceaccount:NAMESPACE:NAME.
func judgeServiceAccount(value string, like bool) verdict {
	wild := -1
	if like {
		wild = strings.IndexAny(value, "*?")
	}
	if wild < 0 && strings.ContainsAny(value, "*?") {
		return verdict{} // wildcard in an exact operator: reported as that
	}
	rest, ok := strings.CutPrefix(value, eksSubject)
	if wild >= 0 && wild < len(eksSubject) {
		return verdict{rule.OfRule, rule.WideSubject, fmt.Sprintf("%q matches service accounts of every namespace", value), "write " + eksSubject + "NAMESPACE:NAME"}
	}
	namespace, name, colon := strings.Cut(rest, ":")
	switch {
	case wild >= 0 && (!colon || strings.ContainsAny(namespace, "*?")) && ok:
		return verdict{rule.OfRule, rule.WideSubject, fmt.Sprintf("%q matches service accounts of several namespaces", value), "name the namespace in full: " + eksSubject + "NAMESPACE:NAME"}
	case !ok || !colon || namespace == "" || name == "" || strings.Contains(name, ":"):
		return verdict{rule.OfRule, rule.SubjectShape, fmt.Sprintf("no service account has the subject %q", value), "write " + eksSubject + "NAMESPACE:NAME"}
	case name == "*" && like:
		return verdict{rule.Medium, rule.WideSubject, fmt.Sprintf("%q matches every service account of the namespace", value), "name the service account"}
	}
	return verdict{}
}

// judgeRepository judges repo:ORGANIZATION/REPOSITORY:…; organizations may
// have customized subjects, which are not judged.
func judgeRepository(value string, like bool) verdict {
	if like && strings.IndexAny(value, "*?") == 0 {
		return verdict{rule.OfRule, rule.WideSubject, fmt.Sprintf("%q matches repositories of other organizations", value), "begin with repo:ORGANIZATION/REPOSITORY:"}
	}
	rest, ok := strings.CutPrefix(value, "repo:")
	if !ok {
		return judgeBeginning(value)
	}
	if v := judgeContext(value, rest, like); v.summary != "" {
		return v
	}
	if strings.HasSuffix(value, ":pull_request") {
		return verdict{rule.Medium, rule.WideSubject, "whoever can open a pull request in the repository may assume the role", "name a branch or an environment"}
	}
	organization, repository, slash := strings.Cut(rest, "/")
	if slash {
		if v := judgeIDs(organization, beforeColon(repository)); v.summary != "" {
			return v
		}
	}
	switch {
	case !like:
		return judgeNames(organization)
	case !slash || strings.ContainsAny(organization, "*?"):
		return verdict{rule.OfRule, rule.WideSubject, fmt.Sprintf("%q matches other organizations whose names begin the same", value), "write the organization in full and a slash: repo:ORGANIZATION/REPOSITORY:"}
	case strings.ContainsAny(beforeColon(repository), "*?"):
		return verdict{rule.Medium, rule.WideSubject, fmt.Sprintf("%q matches several repositories of the organization", value), "name the repository"}
	}
	return judgeNames(organization)
}

// judgeBeginning judges a subject that does not begin with repo:. A customized
// one begins with the name of a claim (GitHub docs, "OpenID Connect reference",
// customizing the token claims); subjects are compared with regard to case.
func judgeBeginning(value string) verdict {
	first := beforeColon(value)
	switch {
	case strings.EqualFold(first, "repo"):
		return verdict{rule.OfRule, rule.SubjectShape, fmt.Sprintf("no token has the subject %q: letter case counts, and GitHub's begin with repo:", value), "write repo" + value[len("repo"):]}
	case strings.Contains(first, "/") && !strings.ContainsAny(first, "*?"):
		return verdict{rule.OfRule, rule.SubjectShape, fmt.Sprintf("no token has the subject %q: GitHub's begin with repo:", value), "write repo:" + value}
	}
	return verdict{}
}

// judgeContext judges what follows repo:ORGANIZATION/REPOSITORY: as GitHub
// writes it: pull_request, or the name of a claim and its value.
func judgeContext(value, rest string, like bool) verdict {
	_, context, has := strings.Cut(rest, ":")
	wild := strings.IndexAny(context, "*?")
	if !has || !like && wild >= 0 || context == "pull_request" {
		return verdict{} // a wildcard in an exact operator is reported as that
	}
	literal := context
	if wild >= 0 {
		literal = context[:wild]
	}
	wrong := verdict{rule.OfRule, rule.SubjectShape, fmt.Sprintf("no token has the subject %q", value), "write ref:refs/heads/BRANCH, ref:refs/tags/TAG, environment:NAME or pull_request after the repository"}
	ref, isRef := strings.CutPrefix(literal, "ref:")
	switch {
	case wild < 0 && !strings.Contains(context, ":"):
		return wrong
	case isRef && !strings.HasPrefix(ref, "refs/") && (wild < 0 || !strings.HasPrefix("refs/", ref)):
		return wrong
	}
	return verdict{}
}

func beforeColon(s string) string {
	before, _, _ := strings.Cut(s, ":")
	return before
}

// judgeIDs is T08: GitHub's immutable subjects have a numeric id behind the
// owner's and behind the repository's name, older ones behind neither (GitHub
// docs, "OpenID Connect", immutable subject claims).
func judgeIDs(organization, repository string) verdict {
	_, owner, hasOwner := strings.Cut(organization, "@")
	_, id, hasID := strings.Cut(repository, "@")
	switch {
	case hasOwner != hasID && !strings.ContainsAny(organization+repository, "*?"):
		return verdict{rule.OfRule, rule.MutableSubject, "no token has an id behind one of owner and repository and not behind the other", "write repo:OWNER@OWNER-ID/REPOSITORY@REPOSITORY-ID:…"}
	case strings.ContainsAny(owner, "*?") || hasOwner && hasID && strings.ContainsAny(id, "*?"):
		return verdict{rule.OfRule, rule.MutableSubject, "a wildcard in place of the id also fits whoever takes the name after its owner", "write the numeric ids"}
	}
	return verdict{}
}

// judgeNames says of a subject without ids what ids are for. That is no fault:
// GitHub goes on issuing such subjects for older repositories.
func judgeNames(organization string) verdict {
	if organization == "" || strings.Contains(organization, "@") {
		return verdict{}
	}
	return verdict{rule.Info, rule.MutableSubject, "the subject pins names, which can be given up and taken again", "repositories made, renamed or moved since July 2026 have ids in their subjects: repo:OWNER@OWNER-ID/REPOSITORY@REPOSITORY-ID:…"}
}

// judgeShared judges the subjects of other shared issuers by their grammar:
// what names the customer must be written out.
func judgeShared(iss issuer, value string, like bool) verdict {
	known, ok := catalog.IssuerFor(iss.url)
	if !ok || !like || !known.Shared || known.Claim != "sub" || len(known.Subject) == 0 {
		return verdict{}
	}
	grammar := known.Subject[0]
	start := strings.IndexFunc(grammar, unicode.IsUpper)
	if start <= 0 {
		return verdict{}
	}
	end := start + len(grammar[start:]) - len(strings.TrimLeftFunc(grammar[start:], unicode.IsUpper))
	wild := strings.IndexAny(value, "*?")
	if wild < 0 {
		return verdict{}
	}
	customer := len(value) // where the customer's name ends
	if end < len(grammar) && len(value) > start {
		if i := strings.IndexByte(value[start:], grammar[end]); i >= 0 {
			customer = start + i
		}
	}
	if wild < customer {
		return verdict{rule.OfRule, rule.WideSubject, fmt.Sprintf("%q matches other customers of %s", value, known.Name), "write it out as far as the wildcard: " + grammar}
	}
	return verdict{}
}
