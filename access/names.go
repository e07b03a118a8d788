package access

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	// iamName: role and user names, [\w+=,.@-]+ (IAM API reference, CreateRole).
	iamNameChars = lower + upper + digits + "_+=,.@-"
	// externalID: [\w+=,.@:\/-]* (STS API reference, AssumeRole).
	externalIDChars = lower + upper + digits + "_+=,.@:/-"
	// profile: what every SDK reads in a section name without quoting.
	profileChars = lower + upper + digits + "_.@+-"
	// clusterName: ^[0-9A-Za-z][A-Za-z0-9\-_]* (EKS API reference, CreateCluster).
	clusterNameChars = lower + upper + digits + "-_"
)

// onlyOf reports whether s has between least and most characters, all of chars.
func onlyOf(s, chars string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, chars) == ""
}

// dnsLabel reports whether s is an RFC 1123 label, as Kubernetes namespaces are.
func dnsLabel(s string) bool {
	return onlyOf(s, lower+digits+"-", 1, catalog.KubernetesLabelSize) && s[0] != '-' && s[len(s)-1] != '-'
}

// dnsSubdomain reports whether s is a Kubernetes object name: labels of lower
// case joined by dots, 253 characters at most. Kubernetes does not hold the
// parts to 63 characters each.
func dnsSubdomain(s string) bool {
	if len(s) > catalog.KubernetesSubdomainSize {
		return false
	}
	return !slices.ContainsFunc(strings.Split(s, "."), func(part string) bool {
		return !onlyOf(part, lower+digits+"-", 1, catalog.KubernetesSubdomainSize) || part[0] == '-' || part[len(part)-1] == '-'
	})
}

// labelName reports whether s is what Kubernetes admits as a label's value or
// as the name part of its key; a value may be empty.
func labelName(s string) bool {
	alnum := lower + upper + digits
	return onlyOf(s, alnum+"-_.", 1, 63) && strings.ContainsRune(alnum, rune(s[0])) && strings.ContainsRune(alnum, rune(s[len(s)-1]))
}

func labelKey(s string) bool {
	if prefix, name, ok := strings.Cut(s, "/"); ok {
		return dnsSubdomain(prefix) && labelName(name)
	}
	return labelName(s)
}

// tagText reports whether s may be a session tag's key or value:
// [\p{L}\p{Z}\p{N}_.:/=+\-@]* (STS API reference, Tag).
func tagText(s string, least, most int) bool {
	if n := utf8.RuneCountInString(s); n < least || n > most {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// metadata checks an object's name and labels.
func (l *loader) metadata(m *Metadata, pos Pos) {
	if m.Name != "" && !dnsSubdomain(m.Name) {
		l.fail(l.posOf(&m.Name, pos), CodeBadName, says{
			what: fmt.Sprintf("metadata.name is %q; want a Kubernetes object name", m.Name),
			hint: "use lower-case letters, digits, hyphens and dots, with a letter or digit at both ends",
		})
	}
	for key, value := range m.Labels {
		if !labelKey(key) || (value != "" && !labelName(value)) {
			l.fail(l.posOf(entry{&m.Labels, key}, pos), CodeBadName, says{what: fmt.Sprintf("%q: %q is not a Kubernetes label", key, value)})
		}
	}
}

// iamNameAt checks a role's or user's name; what is the field.
func (l *loader) iamNameAt(name *string, what string, most int, pos Pos) {
	if *name == "" || onlyOf(*name, iamNameChars, 1, most) {
		return
	}
	s := says{what: fmt.Sprintf("%s is %q; want 1 to %d of letters, digits and _+=,.@-", what, *name, most)}
	switch {
	case len(*name) > most:
		s.what = fmt.Sprintf("%s has %d characters; IAM allows %d", what, len(*name), most)
	case strings.HasPrefix(*name, "arn:"):
		s.hint = "write the name alone, without the ARN around it"
	case strings.Contains(*name, "/"):
		s.hint = "write the part before the last slash as path"
	case strings.ContainsAny(*name, "*?"):
		s.hint = "name each role; a trust policy admits no wildcard in a principal"
	}
	l.fail(l.posOf(name, pos), CodeBadRoleName, s)
}

// path checks an IAM path: "/" or "/a/b/", at most 512 characters of
// \x21-\x7e (IAM API reference, CreateRole).
func (l *loader) path(p *string, what string, pos Pos) {
	printable := !strings.ContainsFunc(*p, func(r rune) bool { return r < 0x21 || r > 0x7e })
	if *p == "" || (strings.HasPrefix(*p, "/") && strings.HasSuffix(*p, "/") && len(*p) <= catalog.PathSize && printable && !strings.Contains(*p, "//")) {
		return
	}
	l.fail(l.posOf(p, pos), CodeBadPath, says{what: fmt.Sprintf("%s is %q; want an IAM path", what, *p), hint: `begin and end it with a slash, as in "/stile/"`})
}

// region checks the form of a Region; a well-formed unknown one is a warning,
// as Regions are added every year.
func (l *loader) region(r *string, what string, pos Pos) {
	if *r == "" {
		return
	}
	known := catalog.Regions()
	if !catalog.RegionShaped(*r) {
		l.fail(l.posOf(r, pos), CodeBadRegion, says{what: fmt.Sprintf("%s is %q; want a Region", what, *r), hint: diag.DidYouMean(*r, known)})
		return
	}
	if p := catalog.Partition(*r); p != partition {
		l.otherPartition(l.posOf(r, pos), fmt.Sprintf("%s %q", what, *r), p)
		return
	}
	if !slices.Contains(known, *r) {
		l.warn(l.posOf(r, pos), CodeUnknownRegion, says{what: fmt.Sprintf("%s is %q, a Region this version does not know", what, *r), hint: diag.DidYouMean(*r, known)})
	}
}

// partition is the one this version writes ARNs of.
const partition = "aws"

// otherPartition reports what belongs to another partition.
func (l *loader) otherPartition(pos Pos, what, other string) {
	l.fail(pos, CodeNotSupported, says{what: fmt.Sprintf("%s is of partition %s, which is not supported yet by this version", what, other), why: "it works in the partition " + partition + " alone"})
}

func (l *loader) externalID(id *string, pos Pos) {
	if *id == "" || onlyOf(*id, externalIDChars, catalog.ExternalIDMinSize, catalog.ExternalIDSize) {
		return
	}
	l.fail(l.posOf(id, pos), CodeBadExternalID, says{
		what: fmt.Sprintf("externalID is not one that STS takes; want %d to %d of letters, digits and _+=,.@:/-", catalog.ExternalIDMinSize, catalog.ExternalIDSize),
	})
}

// issuer checks an OIDC issuer: https, no credentials, query or fragment, 255
// characters at most (IAM API reference, CreateOpenIDConnectProvider).
func (l *loader) issuer(issuer *string, pos Pos) {
	if *issuer == "" {
		return
	}
	u, err := url.Parse(*issuer)
	if err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		len(*issuer) <= catalog.OIDCProviderURLSize && !strings.HasSuffix(*issuer, "/") {
		return
	}
	l.fail(l.posOf(issuer, pos), CodeBadIssuer, says{
		what: fmt.Sprintf("spec.issuer is %q; want an https URL without query and without a slash at its end", *issuer),
		why:  "it must equal the tokens' iss claim",
		hint: "copy cluster.identity.oidc.issuer of aws eks describe-cluster",
	})
}

// roleARN checks the ARN of one existing role and gives its account.
func (l *loader) roleARN(role *string, what string, pos Pos) (arn.AccountID, bool) {
	a, err := arn.Parse(*role)
	if err == nil && a.Partition != partition && slices.Contains(partitions[:], a.Partition) {
		l.otherPartition(l.posOf(role, pos), fmt.Sprintf("%s %q", what, *role), a.Partition)
		return "", false
	}
	if err == nil && a.Service == "iam" && a.Account != "" && a.Region == "" && a.Type() == "role" && onlyOf(a.Name(), iamNameChars, 1, catalog.RoleNameSize) {
		return a.Account, true
	}
	l.fail(l.posOf(role, pos), CodeBadARN, says{
		what: fmt.Sprintf("%s is %q; want the ARN of one role", what, *role), hint: "arn:aws:iam::ACCOUNT:role/NAME",
	})
	return "", false
}
