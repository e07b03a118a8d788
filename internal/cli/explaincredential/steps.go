package explaincredential

import (
	"cmp"
	"fmt"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// first is what a source gives by itself.
func first(src *session.Source, t *session.Target) step {
	var s step
	switch {
	case src.IdentityCenter != nil:
		s = step{Call: "GetRoleCredentials of the access portal", Role: "permission set " + t.PermissionSet, Lasts: "as long as the permission set's sessions",
			Details: []string{"account " + string(t.From), src.IdentityCenter.StartURL + " in " + src.IdentityCenter.Region}}
	case src.ConsoleLogin != nil:
		s = console(src.ConsoleLogin.Identity, "in "+src.ConsoleLogin.Region)
	case src.User != nil && src.User.MFA != nil:
		s = step{Call: "sts:GetSessionToken", Lasts: mfa.Duration.String(), Details: append(key(src.User.MFA), "one session for all roles of the source")}
	case src.User != nil:
		s = step{Call: "the user's access key", Lasts: "until it is rotated", Details: []string{"in the secret store"}}
	case src.Profile != nil:
		s = step{Call: "AWS profile " + src.Profile.Name + ", as AWS's SDK for Go reads it", Lasts: "as the profile says"}
	case src.Process != nil:
		s = step{Call: "program (credential_process)", Lasts: "as it says", Details: []string{"its command is in sessions.yaml"}}
	case src.RolesAnywhere != nil:
		r := src.RolesAnywhere
		s = step{Call: "rolesanywhere:CreateSession, by AWS's helper", Role: r.Role, Details: []string{"trust anchor " + r.TrustAnchor, "profile " + r.Profile}}
		s.Lasts, s.Limit = cmp.Or(time.Duration(r.Duration), time.Hour).String(), "the Roles Anywhere profile's own duration may be less"
	case src.SAML != nil:
		s = step{Call: "sts:AssumeRoleWithSAML", Role: t.Hops[0].ARN}
		s.last(t.Hops[0].Duration, false, "the session's duration")
	case src.WebIdentity != nil:
		s = step{Call: "sts:AssumeRoleWithWebIdentity", Role: t.Hops[0].ARN}
		s.last(t.Hops[0].Duration, false, "the session's duration")
	}
	if f := t.Federation; f != nil {
		s.Call += ", then sts:GetFederationToken"
		s.Lasts = f.Duration.String()
		s.Details = append(s.Details, "with session policies", "the session may call neither IAM nor STS, but GetCallerIdentity")
	}
	if len(t.Hops) > 0 && t.Begun() == len(t.Hops) && (t.Hops[0].Policy != "" || len(t.Hops[0].PolicyARNs) > 0) {
		s.Details = append(s.Details, "with session policies")
	}
	return s
}

// profileOfCenter is what a profile of an Identity Center gives.
func profileOfCenter(shared *session.Shared, name string) step {
	p, src := shared.Profiles[name], shared.Center(name)
	s := first(src, &session.Target{From: arn.AccountID(p["sso_account_id"].Value), PermissionSet: p["sso_role_name"].Value})
	s.Details = append(s.Details, "as AWS profile "+name+" has it", "signed in to as "+src.Name+", where the AWS CLI keeps it")
	return s
}

// console is a sign-in to the console, of whoever that is if it is known.
func console(identity, of string) step {
	return step{Call: "the sign-in to the console (signin:CreateOAuth2Token)", Role: identity, Lasts: "15m0s, renewed for up to 12 hours of one sign-in",
		Details: []string{of, "kept where the AWS CLI keeps what aws login gave"}}
}

// key tells of a user's key and the device that proves whose it is.
func key(m *session.MFA) []string {
	return []string{"the access key is in the secret store", "MFA device " + m.Serial, "codes by " + string(cmp.Or(m.Code, session.Prompt))}
}

// assumed is step i of a target, a role that is entered from the step before, or
// with a key and a code of its own.
func assumed(t *session.Target, i int, at written) step {
	hop := t.Hops[t.Begun()+i-1]
	s := step{Call: "sts:AssumeRole", Role: hop.ARN, externalID: hop.ExternalID}
	if hop.ExternalID != "" {
		s.Details = append(s.Details, "with an external id")
	}
	if hop.Policy != "" || len(hop.PolicyARNs) > 0 {
		s.Details = append(s.Details, "with session policies")
	}
	if t.OwnCode() {
		s.Details = append(s.Details, append(key(t.Source.User.MFA), "one code for this role alone", "no MFA in its session's own context, for policies that ask there")...)
	}
	keys := t.Source.User != nil && (t.Source.User.MFA == nil || t.OwnCode())
	by := "no duration is set"
	if hop.Duration > 0 {
		by = "duration at " + at.at(t.Session, "duration")
	}
	s.last(hop.Duration, i > 1 || !keys, by)
	return s
}

// last says how long a session lasts for which was asked, and what limits it.
func (s *step) last(asked time.Duration, chained bool, by string) {
	want := cmp.Or(asked, time.Hour)
	switch {
	case chained && want > creds.ChainedDuration:
		s.Lasts, s.Limit = creds.ChainedDuration.String(), fmt.Sprintf("role chaining: AWS lets a role that is entered from a session last an hour at most, not the %s of %s", want, by)
	case chained:
		s.Lasts, s.Limit = max(want, creds.MinDuration).String(), "role chaining lasts an hour at most"
	default:
		s.Lasts = min(max(want, creds.MinDuration), creds.MaxDuration).String()
		s.Limit = "the role's own maximum may be less, and then AWS refuses"
	}
	if asked == 0 {
		s.Limit += "; no duration is set, and an hour is what is asked for"
	}
}

// limitBy adds what an inventory knows of the roles' own maximum.
func limitBy(e *explanation, inv *inventory.Inventory) {
	if inv == nil {
		return
	}
	for i := range e.Steps {
		for _, a := range inv.Accounts {
			for _, r := range a.Roles {
				if r.ARN == e.Steps[i].Role && r.MaxSession > 0 {
					e.Steps[i].Details = append(e.Steps[i].Details, fmt.Sprintf("the role's maximum is %s", time.Duration(r.MaxSession)*time.Second))
				}
			}
		}
	}
}
