package stiletest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/stiletest"
)

func TestIAMIsEnforcedBetweenAccounts(t *testing.T) {
	org := stiletest.New(t, "tooling", "orders")
	org.Role("tooling/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
	org.Role("tooling/stranger", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
	reader := org.Role("orders/reader", stiletest.Role{
		TrustedBy: []string{"tooling/monitor"}, ExternalID: "7f1c9e", Allow: []string{"secretsmanager:ListSecrets"},
	})
	assume := func(as, externalID string) error {
		in := &sts.AssumeRoleInput{RoleArn: &reader, RoleSessionName: aws.String("test")}
		if externalID != "" {
			in.ExternalId = &externalID
		}
		_, err := sts.NewFromConfig(org.As(as)).AssumeRole(t.Context(), in)
		return err
	}
	if err := assume("tooling/monitor", "7f1c9e"); err != nil {
		t.Errorf("the trusted role: %v", err)
	}
	for who, external := range map[string]string{"tooling/stranger": "7f1c9e", "tooling/monitor": "wrong"} {
		if err := assume(who, external); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s with external id %s: %v, want it denied", who, external, err)
		}
		if text := org.LastDenial(); !strings.Contains(text, "sts:AssumeRole") || !strings.Contains(text, "222222222222") {
			t.Errorf("the denial is explained as\n%s", text)
		}
	}
	if _, err := secretsmanager.NewFromConfig(org.As("orders/reader")).ListSecrets(t.Context(), nil); err != nil {
		t.Errorf("what the role allows: %v", err)
	}
	if _, err := secretsmanager.NewFromConfig(org.As("orders/reader")).GetRandomPassword(t.Context(), nil); err == nil {
		t.Error("what the role does not allow succeeds")
	}
}

func TestARoleIsThereOnceItIsNamed(t *testing.T) {
	org := stiletest.New(t, "tooling", "orders")
	org.Role("orders/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"secretsmanager:ListSecrets"}})
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	list := func(cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).ListSecrets(t.Context(), nil)
		return err
	}
	reader, err := pool.Config(t.Context(), "orders", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := list(reader); err != nil {
		t.Errorf("through a role that was only named: %v", err)
	}
	if err := list(pool.Self("")); err == nil {
		t.Error("a role that was only named may more than assume roles")
	}
	org.Role("tooling/monitor", stiletest.Role{Allow: []string{"secretsmanager:ListSecrets"}})
	if err := list(pool.Self("")); err != nil {
		t.Errorf("what the role allows since it was made: %v", err)
	}
	if _, err := sts.NewFromConfig(org.As("tooling/monitor")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::222222222222:role/reader"), RoleSessionName: aws.String("test"),
	}); err == nil {
		t.Error("it still may assume roles, as when it was only named")
	}
}

func TestFaultsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := stiletest.New(t, "tooling")
		client := secretsmanager.NewFromConfig(org.Admin("tooling"), func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
		list := func() error {
			_, err := client.ListSecrets(t.Context(), nil)
			return err
		}
		for trouble, want := range map[stiletest.Trouble]string{
			stiletest.Throttled: "Throttling", stiletest.Broken: "500", stiletest.Unavailable: "503", stiletest.Cut: "request send failed",
		} {
			remove := org.Fault(stiletest.Fault{Account: "tooling", Service: "secretsmanager", Trouble: trouble})
			if err := list(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", trouble, err, want)
			}
			remove()
			if err := list(); err != nil {
				t.Errorf("after %s: %v", trouble, err)
			}
		}
		org.Fault(stiletest.Fault{Operation: "ListSecrets", Trouble: stiletest.Slow, Delay: 5 * time.Second, Times: 1})
		began := time.Now()
		if err := list(); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("a slow call took %s: %v", time.Since(began), err)
		}
		if n := org.Calls("secretsmanager:ListSecrets"); n != 9 {
			t.Errorf("%d calls counted, want 9", n)
		}
	})
}

func TestCredentialsExpireInTheBubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := stiletest.New(t, "tooling", "orders")
		org.Role("tooling/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
		org.Role("orders/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}})
		pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
		cfg, err := pool.Config(t.Context(), "orders", "", "")
		if err != nil {
			t.Fatal(err)
		}
		for range 24 {
			if _, err := creds.Identify(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Minute)
		}
		if n := org.Calls("sts:AssumeRole"); n < 8 || n > 40 {
			t.Errorf("%d AssumeRole calls in eight hours of two chained roles", n)
		}
	})
}

func TestWrongNamesEndTheTest(t *testing.T) {
	for name, use := range map[string]func(*stiletest.Organization){
		"unknown account": func(o *stiletest.Organization) { o.Admin("order") },
		"fault in an unknown service": func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Service: "dynamo", Trouble: stiletest.Broken})
		},
		"fault in an unknown operation": func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Service: "sts", Operation: "AssumeRol", Trouble: stiletest.Broken})
		},
		"fault in an operation that no service has": func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Operation: "AssumeRol", Trouble: stiletest.Broken})
		},
		"fault of an unknown kind":    func(o *stiletest.Organization) { o.Fault(stiletest.Fault{Service: "sts", Trouble: "brokn"}) },
		"fault without a kind":        func(o *stiletest.Organization) { o.Fault(stiletest.Fault{Service: "sts"}) },
		"slowness without a delay":    func(o *stiletest.Organization) { o.Fault(stiletest.Fault{Service: "sts", Trouble: stiletest.Slow}) },
		"fault in an unknown account": func(o *stiletest.Organization) { o.Fault(stiletest.Fault{Account: "order", Trouble: stiletest.Broken}) },
		"not ACCOUNT/ROLE":            func(o *stiletest.Organization) { o.Role("reader", stiletest.Role{}) },
		"trusting what is not": func(o *stiletest.Organization) {
			o.Role("tooling/x", stiletest.Role{TrustedBy: []string{"toolng/monitor"}})
		},
		"a document that is no": func(o *stiletest.Organization) { o.Role("tooling/x", stiletest.Role{Policy: "{"}) },
	} {
		f := &fatal{TB: t}
		func() {
			defer func() { _ = recover() }()
			use(stiletest.New(f, "tooling"))
		}()
		if !strings.HasPrefix(f.text, "stiletest: ") {
			t.Errorf("%s: ended with %q", name, f.text)
		}
	}
}

func TestNamesThatAreNearlyRightAreSuggested(t *testing.T) {
	for want, use := range map[string]func(*stiletest.Organization){
		`there is no account "toolng"; did you mean "tooling"?`: func(o *stiletest.Organization) { o.Role("toolng/x", stiletest.Role{}) },
		`there is no service "dynamo-db"; did you mean "dynamodb"?`: func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Service: "dynamo-db", Trouble: stiletest.Cut})
		},
		`sts serves no operation "AssumRole"; did you mean "AssumeRole"?`: func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Service: "sts", Operation: "AssumRole", Trouble: stiletest.Cut})
		},
		`the local AWS serves no operation "assumeRole"; did you mean "AssumeRole"?`: func(o *stiletest.Organization) {
			o.Fault(stiletest.Fault{Operation: "assumeRole", Trouble: stiletest.Cut})
		},
	} {
		f := &fatal{TB: t}
		func() {
			defer func() { _ = recover() }()
			use(stiletest.New(f, "tooling"))
		}()
		if !strings.Contains(f.text, want) {
			t.Errorf("ended with %q, want %q", f.text, want)
		}
	}
}

// A fault that no call meets is a test that tests nothing.
func TestFaultsThatNoCallMeetsAreTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   stiletest.Fault
		removed bool
		want    string // begins the errors
	}{
		{"met", stiletest.Fault{Service: "secretsmanager", Trouble: stiletest.Cut, Times: 1, MustHit: true}, false, ""},
		{"met and removed", stiletest.Fault{Service: "secretsmanager", Trouble: stiletest.Cut, Times: 1, MustHit: true}, true, ""},
		{"not met", stiletest.Fault{Service: "sts", Trouble: stiletest.Cut, MustHit: true}, false, "stiletest: no call met the fault"},
		{"not met before it was removed", stiletest.Fault{Service: "sts", Trouble: stiletest.Cut, MustHit: true}, true, "stiletest: no call met the fault"},
		{"not met, which may be", stiletest.Fault{Service: "sts", Trouble: stiletest.Cut}, false, ""},
	} {
		f := &lenient{TB: t}
		org := stiletest.New(f, "tooling")
		remove := org.Fault(c.fault)
		client := secretsmanager.NewFromConfig(org.Admin("tooling"), func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
		_, _ = client.ListSecrets(t.Context(), nil) // cut off, or not
		if c.removed {
			remove()
		}
		f.end()
		if text := strings.Join(f.errors, "\n"); !strings.HasPrefix(text, c.want) || (text == "") != (c.want == "") || len(f.errors) > 1 {
			t.Errorf("%s: the test fails with %q, want %q", c.name, f.errors, c.want)
		}
	}
}

// lenient is a test that keeps its errors to itself.
type lenient struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (l *lenient) Errorf(format string, a ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, a...))
}

func (l *lenient) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }

func (l *lenient) end() {
	for _, f := range slices.Backward(l.cleanups) {
		f()
	}
}

func TestARoleInTheMiddleMayEnterOthersHoweverItWasMade(t *testing.T) {
	for name, makeHub := range map[string]func(*stiletest.Organization){
		"named only": func(*stiletest.Organization) {},
		"made": func(o *stiletest.Organization) {
			o.Role("hub/entry", stiletest.Role{TrustedBy: []string{"tooling/monitor"}})
		},
	} {
		for _, first := range []bool{true, false} {
			org := stiletest.New(t, "tooling", "hub", "orders")
			if first {
				makeHub(org)
			}
			org.Role("orders/reader", stiletest.Role{TrustedBy: []string{"hub/entry"}})
			if !first {
				makeHub(org)
			}
			cfg := org.As("hub/entry")
			_, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::333333333333:role/reader"), RoleSessionName: aws.String("test"),
			})
			if err != nil {
				t.Errorf("%s, before the role that trusts it: %v: %v", name, first, err)
			}
		}
	}
}

func TestTroubleThatLastsTakesNoTimeInABubble(t *testing.T) {
	for trouble, want := range map[stiletest.Trouble]string{stiletest.Broken: "500", stiletest.Cut: "the connection was cut"} {
		synctest.Test(t, func(t *testing.T) {
			org := stiletest.New(t, "tooling", "orders")
			org.Role("orders/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"secretsmanager:ListSecrets"}})
			pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
			client, err := stile.Client(t.Context(), pool, secretsmanager.NewFromConfig, "orders", "", "")
			if err != nil {
				t.Fatal(err)
			}
			org.Fault(stiletest.Fault{Service: "secretsmanager", Trouble: trouble, MustHit: true})
			_, err = client.ListSecrets(t.Context(), nil)
			if n := org.Calls("secretsmanager:ListSecrets"); n != stile.DefaultAttempts || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d attempts, %v, want %d and %s", n, err, stile.DefaultAttempts, want)
			}
		})
	}
}

// fatal keeps what a test ends with.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Fatalf(format string, a ...any) {
	f.text = fmt.Sprintf(format, a...)
	panic("ended")
}

func TestPoolsOfManyAccounts(t *testing.T) {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("account-%02d", i))
	}
	org := stiletest.New(t, names...)
	org.Role("account-00/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
	for _, name := range names {
		org.Role(name+"/reader", stiletest.Role{TrustedBy: []string{"account-00/monitor"}})
	}
	pool := org.Pool("account-00/monitor", stile.Config{Role: "reader"})
	err := pool.Each(t.Context(), stile.Selection{All: true}, func(ctx context.Context, a stile.Account) error {
		cfg, err := pool.Config(ctx, a.Name, "", "")
		if err != nil {
			return err
		}
		id, err := creds.Identify(ctx, cfg)
		if err == nil && id.Account != a.ID {
			return fmt.Errorf("in account %s", id.Account)
		}
		return err
	}, stile.EachOptions{})
	if err != nil {
		t.Error(err)
	}
}
