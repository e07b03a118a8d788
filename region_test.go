package stile_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/stiletest"
)

// disabled is AWS with a Region that no account has enabled: it refuses all
// credentials in the words for those it does not know, after so long.
type disabled struct {
	next    aws.HTTPClient
	region  string
	after   time.Duration
	enabled atomic.Bool
}

func (d *disabled) Do(r *http.Request) (*http.Response, error) {
	if d.enabled.Load() || !strings.Contains(r.Header.Get("Authorization"), "/"+d.region+"/dynamodb") {
		return d.next.Do(r)
	}
	time.Sleep(d.after) // the bubble's time
	return &http.Response{
		StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}`)),
	}, nil
}

// tablesIn gives a function that lists tables in a Region, within 5 s.
func tablesIn(t *testing.T, pool *stile.Pool, region string) func() error {
	t.Helper()
	client, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", region)
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		_, err := client.ListTables(ctx, nil)
		return err
	}
}

// partly makes a pool in a world where ap-east-1 is not enabled.
func partly(t *testing.T, org *stiletest.Organization) (*stile.Pool, *disabled) {
	t.Helper()
	self := org.As("tooling/monitor")
	off := &disabled{next: self.HTTPClient, region: "ap-east-1"}
	self.HTTPClient = off
	pool, err := stile.New(t.Context(), stile.Config{AWS: &self, Directory: org, Role: "reader"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, off
}

func TestARegionThatIsNotEnabledCostsHardlyAnyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		pool, _ := partly(t, org)
		good, off := tablesIn(t, pool, "us-east-1"), tablesIn(t, pool, "ap-east-1")
		if err := good(); err != nil {
			t.Fatal(err)
		}
		before := org.Calls("sts:AssumeRole")
		for range 50 {
			if err := off(); err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
				t.Fatalf("in the Region: %v, want its refusal", err)
			}
		}
		if n := org.Calls("sts:AssumeRole") - before; n > 0 {
			t.Errorf("%d AssumeRole calls for 50 refusals of a new credential, want none", n)
		}
		time.Sleep(2 * time.Minute)
		for range 50 {
			_ = off() // refused
		}
		if n := org.Calls("sts:AssumeRole") - before; n > 1 {
			t.Errorf("%d AssumeRole calls for 50 refusals of an older one, want one to be sure", n)
		}
		for range 10 * 60 { // as a service does that visits all Regions every minute
			_ = off()
			if err := good(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		// Ten hours of the service's own role and the other, refreshed as they should, and what is asked to be sure.
		if n, most := org.Calls("sts:AssumeRole")-before, 2*14+40; n > most {
			t.Errorf("%d AssumeRole calls in ten hours, want %d at most", n, most)
		}
	})
}

func TestARegionThatIsNotEnabledTakesNoCredentialFromOthersInAnOutage(t *testing.T) {
	for name, trouble := range map[string]stiletest.Fault{
		"STS is down":      {Service: "sts", Trouble: stiletest.Unavailable},
		"STS is cut off":   {Service: "sts", Trouble: stiletest.Cut},
		"STS is silent":    {Service: "sts", Trouble: stiletest.Slow, Delay: time.Hour},
		"STS is throttled": {Service: "sts", Trouble: stiletest.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				org := newOrg(t)
				pool, _ := partly(t, org)
				good, off := tablesIn(t, pool, "us-east-1"), tablesIn(t, pool, "ap-east-1")
				if err := good(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				defer org.Fault(trouble)()
				for range 5 {
					_ = off() // refused, and it may take its five seconds
					began := time.Now()
					if err := good(); err != nil || time.Since(began) > 0 {
						t.Errorf("the same role in another Region: %v after %s, want nothing to be seen", err, time.Since(began))
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

func TestARegionThatWasEnabledIsAsAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		pool, region := partly(t, org)
		list := tablesIn(t, pool, "ap-east-1")
		_ = list() // refused
		time.Sleep(2 * time.Minute)
		_ = list() // refused, with another credential too
		region.enabled.Store(true)
		if err := list(); err != nil {
			t.Errorf("once the Region is enabled: %v", err)
		}
		time.Sleep(2 * time.Minute)
		org.Advance(2 * time.Hour)
		if err := list(); err != nil {
			t.Errorf("after the credential expired there: %v", err)
		}
	})
}

func TestAnOperationRenewsItsCredentialOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		self := org.As("tooling/monitor")
		self.HTTPClient = &disabled{next: self.HTTPClient, region: "us-east-1", after: 61 * time.Second} // so that no credential is new
		pool, err := stile.New(t.Context(), stile.Config{AWS: &self, Directory: org, Role: "reader"})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		client, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := client.ListTables(t.Context(), nil); err == nil || time.Since(began) != 122*time.Second {
			t.Errorf("ListTables = %v after %s, want the refusal of the second attempt", err, time.Since(began))
		}
	})
}

func TestAllWhoseCredentialIsRefusedMakeTheirRequestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
		list := tablesIn(t, pool, "")
		if err := list(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		org.Advance(2 * time.Hour)
		before := org.Calls("sts:AssumeRole")
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := list(); err != nil {
					t.Errorf("after AWS stopped accepting the credential: %v", err)
				}
			})
		}
		wg.Wait()
		if n := org.Calls("sts:AssumeRole") - before; n > 4 {
			t.Errorf("%d AssumeRole calls for 50 callers, want the two credentials' and two refusals at most", n)
		}
	})
}
