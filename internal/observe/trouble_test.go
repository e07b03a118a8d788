package observe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// refusing is a source that one account cannot be entered by.
type refusing struct {
	observe.Source
	account arn.AccountID
}

func (r refusing) Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error) {
	if account == r.account {
		return aws.Config{}, errors.New("sts:AssumeRole is not allowed")
	}
	return r.Source.Config(ctx, account, region)
}

func TestAnAccountThatRefusesIsOneProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		inv := &inventory.Inventory{}
		if err := observe.Fill(t.Context(), refusing{source{f.World, f.fakes}, scopetest.Orders}, whole(), inv, observe.Options{}); err != nil {
			t.Fatal(err)
		}
		refused, well := inv.Accounts[scopetest.Orders], inv.Accounts[scopetest.Tooling]
		if len(refused.Problems) != 1 || refused.Problems[0] != (inventory.Problem{What: inventory.AllOfIt, Why: "sts:AssumeRole is not allowed"}) {
			t.Errorf("problems of the account = %v", refused.Problems)
		}
		if refused.Complete || refused.Kind(inventory.KindKeys, scopetest.Region) != inventory.Unread || refused.Member.State != inventory.Unread {
			t.Errorf("the account is complete %v, its keys %v, its membership %v", refused.Complete, refused.Kind(inventory.KindKeys, scopetest.Region), refused.Member.State)
		}
		if !well.Complete || len(well.Problems) > 0 {
			t.Errorf("the other account: complete %v, problems %v", well.Complete, well.Problems)
		}
	})
}

func TestThrottlingIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		f.Server.Faults().Add(f.Server.World().Now(), service.Fault{Kind: service.Throttle, Account: scopetest.Orders, Probability: 0.4})
		for id, a := range f.read(t).Accounts {
			if !a.Complete || len(a.Problems) > 0 {
				t.Errorf("account %s: complete %v, problems %v", id, a.Complete, a.Problems)
			}
		}
	})
}

// Each service asks to slow down in words of its own.
func TestThrottlingInEveryFormIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		f.fakes.busy = 3
		for id, a := range f.read(t).Accounts {
			if len(a.Problems) > 0 {
				t.Errorf("account %s: problems %v", id, a.Problems)
			}
		}
		for operation, n := range f.fakes.asked {
			if n <= f.fakes.busy {
				t.Errorf("%s was asked %d times, and asked to slow down each time", operation, n)
			}
		}
	})
}

func TestErrorsOfEveryServiceReadAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		f.fakes.deny = map[string]bool{"sqs:ListQueues": true, "lambda:ListFunctions": true, "ecr:DescribeRepositories": true, "sns:ListTopics": true}
		a := f.read(t).Accounts[scopetest.Orders]
		const why = ": User: arn:aws:iam::222222222222:user/Administrator is not authorized to perform this"
		want := map[string]string{
			"sqs:queue in us-east-1":       "SQS ListQueues: AccessDeniedException" + why,
			"lambda:function in us-east-1": "Lambda ListFunctions: AccessDeniedException" + why,
			"ecr:repository in us-east-1":  "ECR DescribeRepositories: AccessDeniedException" + why,
			"sns:topic in us-east-1":       "SNS ListTopics: AuthorizationError" + why,
		}
		got := map[string]string{}
		for _, p := range a.Problems {
			got[p.What] = p.Why
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
	})
}

// down fails every call to one Region.
type down struct {
	door   http.RoundTripper
	region string
}

func (d down) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Host, "."+d.region+".") {
		return d.door.RoundTrip(r)
	}
	return &http.Response{StatusCode: 500, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func TestOneRegionThatFailsLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := fill(t, f.World, down{f.fakes, "eu-west-2"}, whole("us-east-1", "eu-west-2")).Accounts[scopetest.Orders]
		for _, kind := range []string{inventory.KindKeys, inventory.KindSecrets, inventory.KindClusters, inventory.KindEndpoints, "sqs:queue", "sns:topic", "lambda:function", "ecr:repository", "dynamodb:table"} {
			if got := a.Kind(kind, "eu-west-2"); got != inventory.Unread || !a.Failed(kind+" in eu-west-2") {
				t.Errorf("%s in the Region that fails are %v, told %v", kind, got, a.Failed(kind+" in eu-west-2"))
			}
			if got := a.Kind(kind, "us-east-1"); got != inventory.Exists {
				t.Errorf("%s in the other Region are %v", kind, got)
			}
		}
		if len(a.Problems) != 9 || !a.Complete {
			t.Errorf("complete %v, problems %v", a.Complete, a.Problems)
		}
	})
}

// counting counts calls and how many are under way, and lets each take a while.
type counting struct {
	door           http.RoundTripper
	calls, now     atomic.Int64
	most           atomic.Int64
	each           time.Duration
	after          int64 // calls, then end is called
	end            func()
	countedService string // "" counts all
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Host, c.countedService) {
		return c.door.RoundTrip(r)
	}
	if n := c.calls.Add(1); c.end != nil && n == c.after {
		c.end()
	}
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	timer := time.NewTimer(c.each)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return c.door.RoundTrip(r)
}

func TestCancellingEndsTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		door := &counting{door: f.fakes, each: 20 * time.Millisecond, after: 10, end: cancel}
		began := time.Now()
		err := observe.Fill(ctx, source{f.World, door}, whole(), &inventory.Inventory{}, observe.Options{Rates: observe.DefaultRates()})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Fill = %v, want %v", err, context.Canceled)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v to end", took)
		}
	})
}

func TestCallsKeepToTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		var names []string
		for i := range 50 {
			names = append(names, fmt.Sprintf("nobody%d", i)) // one call each
		}
		req := asking(scopetest.Orders, inventory.AccountRequest{Roles: names})
		req.Account(scopetest.Tooling).Roles = names
		door := &counting{door: w.Door, countedService: "iam"}
		meter := &observe.Meter{}
		began := time.Now()
		opt := observe.Options{Rates: map[string]observe.Rate{"iam": {PerSecond: 10, Burst: 5}}, Meter: meter}
		if err := observe.Fill(t.Context(), source{w, door}, req, &inventory.Inventory{}, opt); err != nil {
			t.Fatal(err)
		}
		// Each account has a budget of its own: 5 at once, 45 more at 10 a second.
		if took, want := time.Since(began), 4500*time.Millisecond; took < want || took > want+50*time.Millisecond {
			t.Errorf("50 calls of each of two accounts took %v, want %v", took, want)
		}
		if got, want := meter.Progress(), (observe.Progress{Accounts: 2, Done: 2, Calls: 100}); got != want || door.calls.Load() != want.Calls {
			t.Errorf("progress is %+v after %d calls, want %+v", got, door.calls.Load(), want)
		}
	})
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		door := &counting{door: f.fakes, each: 20 * time.Millisecond}
		req := whole("us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1")
		delete(req.Accounts, scopetest.Tooling)
		if err := observe.Fill(t.Context(), source{f.World, door}, req, &inventory.Inventory{}, observe.Options{Calls: 3}); err != nil {
			t.Fatal(err)
		}
		if most := door.most.Load(); most != 3 {
			t.Errorf("at most %d calls were under way, want 3", most)
		}
	})
}

// A listing whose every thing fails is not drowned in problems.
func TestProblemsOfOneListingAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{Organization: true})
		c := iam.NewFromConfig(w.Admin(scopetest.Orders, nil))
		metadata := must[*samltest.IdP](t)(samltest.New("corp")).Metadata()
		for i := range 60 {
			must[*iam.CreateSAMLProviderOutput](t)(c.CreateSAMLProvider(t.Context(), &iam.CreateSAMLProviderInput{
				Name: aws.String(fmt.Sprintf("corp%d", i)), SAMLMetadataDocument: aws.String(metadata),
			}))
		}
		inv := &inventory.Inventory{}
		source := newObservers(w, w.Door, "observer", without(t, "iam:ListSAMLProviderTags"))
		if err := observe.Fill(t.Context(), source, whole(), inv, observe.Options{}); err != nil {
			t.Fatal(err)
		}
		a := inv.Accounts[scopetest.Orders]
		more := inventory.Problem{What: "saml", Why: "10 more of them could not be read"}
		if len(a.Problems) != 51 || !slices.Contains(a.Problems, more) {
			t.Errorf("%d problems, %v; want 50 and that there are 10 more", len(a.Problems), a.Problems)
		}
		if len(a.SAML) != 60 {
			t.Errorf("%d providers are known, want all 60", len(a.SAML))
		}
	})
}
