package explaincredential

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// walk goes to a step of the way.
type walk func(ctx context.Context, step int) (c *creds.Cached, region string, end func(), err error)

// person explains a way of people's sessions.
func (o *options) person(ctx context.Context, e *explanation, found *route.Found) (walk, error) {
	t, d := found.Target, found.Desk
	paths, err := session.FindPaths(o.streams.Getenv)
	if err != nil {
		return nil, err
	}
	lines, err := session.Lines(paths.Book)
	if err != nil {
		return nil, err
	}
	shared, err := session.ReadShared(desk.ProfileFiles(o.streams.Getenv))
	if err != nil {
		return nil, err
	}
	d.Place(ctx, t)
	e.Source, e.Kind, e.Account, e.AccountName, e.Role = t.Source.Name, t.Source.Kind(), string(t.Account), t.AccountName, cmp.Or(t.RoleARN(), t.Role())
	e.Region, e.RegionFrom = found.Region.Name, found.Region.From
	at := written{paths.Book, lines}
	o.told(e, found, at, shared)
	if e.Hold, err = o.route.Hold(o.streams, guard.Account{ID: t.Account, Name: t.AccountName, Labels: t.Labels}, t); err != nil {
		return nil, err
	}
	kept, err := d.Kept(ctx, t)
	if err != nil {
		return nil, err
	}
	for i := range t.Steps() {
		s := first(&t.Source, t)
		if who := d.ConsoleIdentity(ctx, &t.Source); who != "" {
			s.Role = who
			if t.Source.Profile != nil {
				s = console(who, "AWS profile "+t.Source.Profile.Name+" (aws login)")
			}
		}
		if p := t.Source.Profile; p != nil && shared.ByCenter(p.Name) {
			s = profileOfCenter(shared, p.Name)
		}
		if i > 0 || t.OwnCode() {
			s = assumed(t, i, at)
		}
		if i == 0 && t.OwnCode() {
			s.by = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) { return d.LongTerm(ctx, &t.Source) })
		}
		if i < len(kept) && !kept[i].IsZero() {
			s.Kept = &kept[i]
		}
		e.Steps = append(e.Steps, s)
	}
	if e.Steps[len(e.Steps)-1].Kept == nil {
		e.Person = asked(ctx, d, t, shared)
	}
	return func(ctx context.Context, i int) (*creds.Cached, string, func(), error) {
		opened, err := d.Open(ctx, t.Step(i))
		if err != nil {
			return nil, "", nil, err
		}
		_, err = opened.Retrieve(ctx)
		return opened.Cached, opened.Region, func() {}, err
	}, nil
}

// written is where entries of sessions.yaml stand.
type written struct {
	book  string
	lines map[string]map[string]int
}

// at is where a field of an entry stands, or the entry.
func (w written) at(name, field string) string {
	line := w.lines[name][field]
	if line == 0 {
		line = w.lines[name][""]
	}
	if line == 0 {
		return w.book
	}
	return fmt.Sprintf("%s:%d", w.book, line)
}

// has reports whether the file says something of a field.
func (w written) has(name, field string) bool { return w.lines[name][field] != 0 }

// told says what knows the address, and where everything is written.
func (o *options) told(e *explanation, found *route.Found, at written, shared *session.Shared) {
	t := found.Target
	switch {
	case found.Profile:
		e.By = "an AWS profile; no session or source has this name"
	case t.Session != "":
		e.By = "a session of sessions.yaml"
		e.Config = append(e.Config, piece{"session " + t.Session, at.at(t.Session, "")})
		for _, field := range []string{"source", "account", "role", "via", "externalId", "duration", "region", "labels"} {
			if at.has(t.Session, field) {
				e.Config = append(e.Config, piece{field + " of session " + t.Session, at.at(t.Session, field)})
			}
		}
	case t.Source.IdentityCenter != nil:
		e.By = "Identity Center " + t.Source.Name + ", which lists the account"
	default:
		e.By = "source " + t.Source.Name
	}
	if !found.Profile {
		e.Config = append(e.Config, piece{"source " + t.Source.Name + " (" + t.Source.Kind() + ")", at.at(t.Source.Name, "")})
		if _, both := shared.Profiles[e.Address]; both {
			e.Notes = append(e.Notes, fmt.Sprintf("there is an AWS profile %s too, at %s; the name in sessions.yaml comes first", e.Address, where(shared.Profiles[e.Address][""])))
		}
	}
	if t.Source.Profile != nil {
		e.Config = append(e.Config, profilePieces(shared, t.Source.Profile.Name)...)
	}
	if found.Undeclared != nil {
		e.Notes = append(e.Notes, "not by declarations: "+found.Undeclared.Error())
	}
}

func where(s session.Setting) string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// asked is what somebody has to do before credentials can be had, "" for nothing.
func asked(ctx context.Context, d *desk.Desk, t *session.Target, shared *session.Shared) string {
	s := &t.Source
	ready, _ := d.Ready(ctx, s)
	switch {
	case t.OwnCode() && (s.User.MFA.Code == session.TOTP || s.User.MFA.Code == session.Program):
		return ""
	case t.OwnCode():
		return "give an MFA code for it alone: stile whoami " + t.Session
	case s.SAML != nil && s.SAML.File == "-":
		return "give the assertion on standard input"
	case s.Profile != nil && shared.MFA(s.Profile.Name) != "":
		return "give a code of MFA device " + shared.MFA(s.Profile.Name)
	case ready:
		return ""
	case s.IdentityCenter != nil || s.SAML != nil || s.ConsoleLogin != nil || s.Profile != nil: // of aws login
		return "sign in: stile login " + s.Name
	}
	return "give an MFA code: stile login " + s.Name
}

// declared explains declared ways. The first whose caller is here is the one that
// is gone.
func (o *options) declared(ctx context.Context, e *explanation, found *route.Found) (walk, error) {
	e.By = "declarations: " + found.From
	lead := &found.Leads[0]
	var ready []string
	for i := range found.Leads {
		l := &found.Leads[i]
		line := "caller " + l.Route.Caller.Name
		if l.Missing != nil {
			e.Notes = append(e.Notes, line+": "+l.Missing.Error())
			continue
		}
		if len(ready) == 0 {
			lead = l
		}
		ready = append(ready, l.Route.Caller.Name)
	}
	if len(ready) > 1 {
		e.Notes = append(e.Notes, "the credentials of several callers are at hand; say which by --as: "+strings.Join(ready, ", "))
	}
	r := &lead.Route
	last := r.Hops[len(r.Hops)-1]
	e.Source, e.Kind, e.Account, e.AccountName, e.Role = r.Caller.Name, "declared", string(lead.Account), lead.AccountName, last.Role
	e.Region, e.RegionFrom = lead.Region.Name, lead.Region.From
	e.Config = append(e.Config, piece{"Access " + r.Access + " (pattern " + string(r.Pattern) + ")", declaration(found.From, r.Access)})
	var err error
	if e.Hold, err = o.route.Hold(o.streams, guard.Account{ID: lead.Account, Name: lead.AccountName, Labels: lead.Labels}, nil); err != nil {
		return nil, err
	}
	if lead.Begun() == 0 {
		e.Steps = append(e.Steps, step{Call: "the credentials at hand, of " + r.Caller.Name, Lasts: "as they are"})
	}
	for i, hop := range r.Hops {
		s := step{Call: "sts:AssumeRole", Role: hop.Role, externalID: hop.ExternalID}
		chained := i > 0
		if hop.WebIdentity {
			s.Call = "sts:AssumeRoleWithWebIdentity"
			s.Details = append(s.Details, "with the token of "+r.Caller.Name)
		} else if a, err := arn.Parse(r.Caller.ARN); i == 0 {
			chained = err != nil || a.Type() != "user"
		}
		if hop.ExternalID != "" {
			s.Details = append(s.Details, "with an external id")
		}
		if len(hop.Tags) > 0 {
			s.Details = append(s.Details, fmt.Sprintf("with %d session tags", len(hop.Tags)))
		}
		s.last(hop.Duration, chained, "the declared duration")
		e.Steps = append(e.Steps, s)
	}
	if lead.Missing != nil {
		e.Person = "have the caller's credentials at hand: " + lead.Missing.Error()
		return nil, nil
	}
	return func(ctx context.Context, i int) (*creds.Cached, string, func(), error) {
		c, end, err := lead.Try(ctx, i+lead.Begun())
		return c, lead.Region.Name, end, err
	}, nil
}

// declaration is where an Access is declared, if it is in files.
func declaration(from, name string) string {
	if _, err := os.Stat(from); err != nil {
		return from
	}
	set, _ := access.LoadPath(from)
	if set == nil {
		return from
	}
	for _, a := range set.Accesses {
		if a.Name == name {
			return a.Pos.String()
		}
	}
	return from
}

// profilePieces are the settings of a profile, and of those it goes through, where
// they stand.
func profilePieces(shared *session.Shared, name string) []piece {
	var out []piece
	for seen := map[string]bool{}; name != "" && !seen[name]; {
		seen[name] = true
		p := shared.Profiles[name]
		if p == nil {
			return append(out, piece{"profile " + name, "in no file"})
		}
		out = append(out, piece{"profile " + name, where(p[""])})
		var keys []string
		for key := range p {
			if key != "" && telling(key) {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, func(a, b string) int {
			return cmp.Or(cmp.Compare(p[a].File, p[b].File), cmp.Compare(p[a].Line, p[b].Line))
		})
		for _, key := range keys {
			out = append(out, piece{key + " of profile " + name, where(p[key])})
		}
		if session := p["sso_session"].Value; session != "" {
			if s := shared.SSOSessions[session]; s != nil {
				out = append(out, piece{"sso-session " + session, where(s[""])})
			} else {
				out = append(out, piece{"sso-session " + session, "in no file"})
			}
		}
		name = p["source_profile"].Value
	}
	return out
}

// telling reports whether a key of a profile has to do with credentials.
func telling(key string) bool {
	for _, part := range []string{"aws_access_key_id", "aws_secret", "aws_session_token", "role", "source_", "credential", "mfa_", "sso_", "login_", "web_identity", "external_id", "duration", "region", "session_tags", "endpoint_url", "aws_account_id", "include_profile"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

func until(t *time.Time) string {
	return fmt.Sprintf("%s (%s left)", t.UTC().Format(time.RFC3339), term.Left(*t))
}
