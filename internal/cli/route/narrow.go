package route

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// lists tells whether an Identity Center lists a role, and which ones.
type lists func(source *session.Source, account arn.AccountID, role string) (bool, []string, error)

// target puts the policies onto the last role of a session's way. A way without
// roles to enter ends otherwise instead, as its words say. A nil look asks nobody.
func (n *narrowing) target(t *session.Target, look lists) (instead string, err error) {
	switch {
	case n.none():
		return "", nil
	case len(t.Hops) > 0:
		last := len(t.Hops) - 1
		t.Hops = slices.Clone(t.Hops)
		t.Hops[last] = n.apply(t.Hops[last])
		return "", nil
	case t.Source.IdentityCenter != nil:
		return n.permissionSet(t, look)
	case t.Source.User != nil && t.Source.User.MFA != nil:
		return "", n.cannot("the session that an MFA code of " + t.Source.Name + " opens takes no session policy, and AWS federates no user by a code")
	case t.Source.User != nil, t.Source.Profile != nil && ownKey(t.Source.Profile.Name):
		t.Federation = n.federation(t.Region)
		return "as a federated session of the user, which may call neither IAM nor STS", nil
	}
	return "", n.cannot("the credentials of " + t.Source.Name + " (" + t.Source.Kind() + ") come from no call that takes a session policy")
}

// permissionSet goes to the source's read-only role instead.
func (n *narrowing) permissionSet(t *session.Target, look lists) (instead string, err error) {
	source, from := &t.Source, t.PermissionSet
	role := source.IdentityCenter.ReadOnly
	switch {
	case !n.readOnly:
		return "", n.cannot("sessions of Identity Center " + source.Name + " take no session policy")
	case role == "":
		return "", fmt.Errorf("%s cannot be held to: sessions of Identity Center %s take no session policy; say which of its roles reads only: "+
			"stile sessions edit %s --read-only-role NAME", n.why, source.Name, source.Name)
	case role == from:
		return "", nil
	}
	if look != nil {
		listed, names, err := look(source, t.From, role)
		if err != nil {
			return "", fmt.Errorf("looking for the read-only role of %s: %w", source.Name, err)
		}
		if !listed {
			return "", fmt.Errorf("%s cannot be held to: %s lists no role %s, its read-only one, in account %s, but %s; stile sessions edit %s --read-only-role NAME names another",
				n.why, source.Name, role, t.From, cmp.Or(strings.Join(names, ", "), "none"), source.Name)
		}
	}
	t.PermissionSet = role
	return fmt.Sprintf("as %s, the read-only role of %s, instead of %s", role, source.Name, from), nil
}

// ownKey reports that a profile is an access key of a user, as far as its file tells.
func ownKey(profile string) bool {
	shared, err := session.ReadShared(desk.ProfileFiles(os.Getenv))
	if err != nil {
		return false
	}
	p := shared.Profiles[profile]
	return p["aws_access_key_id"].Value != "" && p["aws_session_token"].Value == "" && p["role_arn"].Value == ""
}

// federatedFor is how long a federated session lasts that is held to less; it is
// renewed.
const federatedFor = time.Hour

// federation is the policies for a user of a Region's partition.
func (n *narrowing) federation(region string) *session.Federation {
	f := &session.Federation{Policy: n.policy, PolicyARNs: slices.Clone(n.arns), Duration: federatedFor}
	if n.readOnly {
		partition := catalog.Partition(cmp.Or(region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")))
		f.PolicyARNs = append(f.PolicyARNs, readOnlyAccess(partition))
	}
	return f
}

// readOnlyAccess is AWS's policy of this name.
func readOnlyAccess(partition string) string {
	return "arn:" + partition + ":iam::aws:policy/ReadOnlyAccess"
}

// limits are what a session is held to, in words.
func limits(words, instead string) string {
	if instead == "" {
		return words
	}
	return words + " (" + instead + ")"
}
