package doctor

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/scope"
)

const (
	// maxSkew is how far a request's time may be off before AWS refuses it (IAM user
	// guide, "Elements of an AWS API request signature": 5 minutes in most cases).
	maxSkew = 5 * time.Minute
	// someSkew is worth a word.
	someSkew  = time.Minute
	reachTime = 10 * time.Second
)

// reach asks STS what time it is.
func (v *visit) reach(ctx context.Context) {
	at := v.endpoint()
	cfg, err := scope.LoadUnsigned(ctx, v.ownRegion())
	if err != nil {
		v.add("network", problem, "the AWS config file or AWS_CA_BUNDLE cannot be used", "reading the AWS configuration: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		v.add("network", problem, "look at AWS_ENDPOINT_URL", "%s is no endpoint: %v", at, err)
		return
	}
	sent := time.Now()
	resp, err := cfg.HTTPClient.Do(r)
	if err != nil {
		v.add("network", problem, "look at the network, HTTPS_PROXY, AWS_CA_BUNDLE and AWS_ENDPOINT_URL", "STS is not reached at %s: %v", at, unwrapURL(err))
		return
	}
	_ = resp.Body.Close()
	took := time.Since(sent)
	v.add("network", good, "", "STS answers at %s in %s", at, took.Round(time.Millisecond))
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		v.add("clock", warning, "", "%s does not tell the time", at)
		return
	}
	// Date is in whole seconds, of some moment while we waited.
	skew := sent.Add(took / 2).Sub(theirs.Add(500 * time.Millisecond))
	switch off := skew.Abs(); {
	case off >= maxSkew:
		v.add("clock", problem, "set the clock; AWS refuses requests that are 5 minutes off", "this computer's clock is off by %s", skew.Round(time.Second))
	case off >= someSkew:
		v.add("clock", warning, "set the clock; AWS refuses requests that are 5 minutes off", "this computer's clock is off by %s", skew.Round(time.Second))
	case v.moved(ctx):
	default:
		v.add("clock", good, "", "the clock agrees with STS's")
	}
}

// moved tells that the local AWS's clock was moved, by which it answers nobody: it takes
// requests of this computer's time as well, and its answers have that.
func (v *visit) moved(ctx context.Context) bool {
	c := local.Targeted(v.streams)
	if c == nil {
		return false
	}
	var at struct{ Now time.Time }
	if err := c.Call(ctx, http.MethodGet, "clock", nil, &at); err != nil {
		return false // it is an older one, or stops this moment
	}
	ahead := time.Until(at.Now).Round(time.Second)
	if ahead < someSkew {
		return false
	}
	v.add("clock", warning, "sessions and tokens end by it; start it anew, without its --state, for one that was not moved",
		"the local AWS's clock was moved %s ahead (stile local clock); requests of this computer's time are taken", ahead)
	return true
}

// unwrapURL leaves off what net/http repeats.
func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // its own, not one that is wrapped
		return u.Err
	}
	return err
}

func (v *visit) ownRegion() string {
	return cmp.Or(v.region, v.streams.Getenv("AWS_REGION"), v.streams.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
}

// endpoint is STS's, as the SDKs find it (SDKs and Tools Reference Guide,
// "Service-specific endpoints").
func (v *visit) endpoint() string {
	if at := cmp.Or(v.streams.Getenv("AWS_ENDPOINT_URL_STS"), v.streams.Getenv("AWS_ENDPOINT_URL")); at != "" && v.streams.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != "true" {
		if local.Targeted(v.streams) != nil {
			v.add("endpoint", warning, "unset it to work with AWS", "AWS_ENDPOINT_URL points at stile's local AWS")
		} else {
			v.add("endpoint", warning, "unset it unless you mean it", "an AWS_ENDPOINT_URL sends AWS clients to %s", at)
		}
		return at
	}
	region := v.ownRegion()
	suffix := map[string]string{"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}[catalog.Partition(region)]
	return "https://sts." + region + "." + cmp.Or(suffix, "amazonaws.com")
}
