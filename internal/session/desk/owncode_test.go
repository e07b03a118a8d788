package desk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// guarded makes the role long, which takes MFA and lasts up to twelve hours, and
// short, which lasts one, for dana to enter.
func (p *place) guarded(t *testing.T) {
	t.Helper()
	for name, seconds := range map[string]int32{"long": 43200, "short": 3600} {
		if _, err := p.iam(orders).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, MaxSessionDuration: &seconds, AssumeRolePolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],` +
				`"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.iam(tooling).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("dana"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	of := func(name, role string, d time.Duration) session.Session {
		return session.Session{Name: name, Source: "dana", Account: string(orders), Role: role, Duration: session.Duration(d)}
	}
	tagged := of("tagged", "long", 0)
	tagged.Tags, tagged.SourceIdentity = map[string]string{"ticket": "OPS-1"}, session.Caller
	p.book.Sessions = append(p.book.Sessions, of("hour", "long", time.Hour), of("long", "long", 4*time.Hour), of("over", "short", 4*time.Hour), tagged)
}

// left is how long the credentials of an address last, to the minute.
func (p *place) left(t *testing.T, address string) time.Duration {
	t.Helper()
	d := p.desk(t)
	opened, err := d.Open(t.Context(), p.resolve(t, d, address))
	if err != nil {
		t.Fatal(err)
	}
	c, err := opened.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return time.Until(c.Expires).Round(time.Minute)
}

// STS lets a role that is entered from an MFA session last an hour. A session that is
// for longer takes a code of its own, once for all processes, and the MFA session
// stays for the others.
func TestARoleForLongerTakesACodeOfItsOwn(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	seed, used := p.dana(t, d, session.Prompt)
	p.guarded(t)
	next, err := mfa.TOTP(seed, p.server.World().Now().Add(mfa.Step))
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{used, used, next}
	var asked []string
	p.person.Ask = func(_ context.Context, prompt string) (string, error) {
		asked = append(asked, prompt)
		return codes[min(len(asked), len(codes))-1], nil
	}
	const there = "arn:aws:sts::222222222222:assumed-role/long/dana"
	for range 2 { // each stands for a process
		got, err := p.whoami(t, p.desk(t), "hour")
		want(t, got, err, there)
	}
	if got := p.left(t, "hour"); got != time.Hour || len(asked) != 1 {
		t.Errorf("it lasts %s, asked %q, want an hour and one question", got, asked)
	}
	for range 2 {
		got, err := p.whoami(t, p.desk(t), "long")
		want(t, got, err, there)
	}
	if len(asked) != 3 || !strings.HasPrefix(asked[1], "MFA code of dana for session long alone (dana): ") || !strings.Contains(asked[2], "AWS does not take this code") {
		t.Errorf("asked %q, want a code for long alone, which was not used before", asked)
	}
	p.person.Ask = nil
	if got := p.left(t, "long"); got != 4*time.Hour {
		t.Errorf("it lasts %s, want 4h", got)
	}
	if got := p.left(t, "hour"); got != time.Hour {
		t.Errorf("the MFA session's role lasts %s", got)
	}
	kept, err := p.desk(t).Kept(t.Context(), p.resolve(t, d, "long"))
	if err != nil || len(kept) != 1 || time.Until(kept[0]).Round(time.Minute) != 4*time.Hour {
		t.Errorf("kept %v, %v, want one step for 4h", kept, err)
	}
	p.paths.Runtime = ""
	var need *desk.NeedLoginError
	if _, err := p.whoami(t, p.desk(t), "long"); !errors.As(err, &need) || !strings.Contains(err.Error(), "takes an MFA code of its own: run stile whoami long") {
		t.Errorf("with nobody to ask: %v, want what to run", err)
	}
}

// The name that role sessions go by is not asked for before somebody goes there.
func TestNothingIsKeptOfALongRoleBeforeItsNameIsKnown(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	p.dana(t, d, session.Prompt)
	p.guarded(t)
	kept, err := d.Kept(t.Context(), p.resolve(t, d, "long"))
	if err != nil || len(kept) != 1 || !kept[0].IsZero() {
		t.Errorf("kept %v, %v, want one step of which nothing is kept", kept, err)
	}
}

func TestARoleThatLastsLessIsSaid(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	seed, _ := p.dana(t, d, session.TOTP)
	p.guarded(t)
	if err := d.SetSeed(t.Context(), "dana", seed); err != nil {
		t.Fatal(err)
	}
	if _, err := p.whoami(t, d, "over"); err == nil || !strings.Contains(err.Error(), "exceeds the MaxSessionDuration set for this role") || !strings.Contains(err.Error(), "stile sessions edit") {
		t.Errorf("%v, want that the role lasts less, and what to do", err)
	}
}

// What an MFA session passes with AssumeRole is AssumeRole's.
func TestAnMFASessionPassesTagsAndTheCaller(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	seed, _ := p.dana(t, d, session.TOTP)
	p.guarded(t)
	if err := d.SetSeed(t.Context(), "dana", seed); err != nil {
		t.Fatal(err)
	}
	got, err := p.whoami(t, d, "tagged")
	want(t, got, err, "arn:aws:sts::222222222222:assumed-role/long/dana")
}

// An AWS profile's duration_seconds is heeded as the AWS CLI heeds it.
func TestAProfileForLongerTakesACodeOfItsOwn(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	_, code := p.dana(t, d, session.Prompt)
	p.guarded(t)
	key, err := d.LongTerm(t.Context(), p.book.Source("dana"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "[profile long]\nrole_arn = arn:aws:iam::222222222222:role/long\nsource_profile = keys\nduration_seconds = 14400\nmfa_serial = "+p.book.Source("dana").User.MFA.Serial+"\n",
		"[keys]\naws_access_key_id = "+key.AccessKeyID+"\naws_secret_access_key = "+key.SecretAccessKey+"\n")
	p.book.Sources = append(p.book.Sources, session.Source{Name: "profile", Profile: &session.Profile{Name: "long"}})
	p.person.Ask = func(context.Context, string) (string, error) { return code, nil }
	if got := p.left(t, "profile"); got != 4*time.Hour {
		t.Errorf("it lasts %s, want 4h", got)
	}
	p.person.Ask = nil
	if got := p.left(t, "profile"); got != 4*time.Hour {
		t.Errorf("the next process's lasts %s, want 4h", got)
	}
}

// Whoever waits for the next code is told; nobody has to sit there silently.
func TestWaitingForTheNextCodeIsSaid(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	_, code := p.dana(t, d, session.Program)
	p.guarded(t)
	p.book.Source("dana").User.MFA.Program = "echo " + code
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	var notes []string
	p.person.Note = func(text string) {
		notes = append(notes, text)
		cancel(enough)
	}
	got, err := p.whoami(t, p.desk(t), "hour")
	want(t, got, err, "arn:aws:sts::222222222222:assumed-role/long/dana")
	if len(notes) > 0 {
		t.Errorf("told %q although the code was good", notes)
	}
	d = p.desk(t)
	if _, err := d.Open(ctx, p.resolve(t, d, "long")); !errors.Is(err, enough) || len(notes) != 1 || !strings.Contains(notes[0], "waiting for the next") {
		t.Errorf("%v, told %q, want once what is waited for", err, notes)
	}
}
