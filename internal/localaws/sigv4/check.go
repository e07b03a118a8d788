package sigv4

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkScope compares the credential scope with the date of the request and
// with what the endpoint serves.
func (c *claim) checkScope(opt Options) *Failure {
	day := c.Time.UTC().Format(dateFormat)
	switch {
	case c.terminator != terminator:
		return fail(WrongScope, fmt.Sprintf("Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, clip(c.terminator)))
	case c.Date != day:
		return fail(WrongScope, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			clip(c.Date), day, c.amzDate))
	case opt.Service != "" && c.Service != opt.Service:
		return fail(WrongScope, fmt.Sprintf("Credential should be scoped to correct service: '%s'. ", opt.Service))
	case opt.Region != "" && c.Region != opt.Region:
		return fail(WrongScope, fmt.Sprintf("Credential should be scoped to a valid region, not '%s'. ", clip(c.Region)))
	}
	return nil
}

// checkSignedHeaders refuses x-amz-* headers that the signature leaves open.
// x-amz-content-sha256 may be left out, as on S3: its value is covered as the
// last line of the canonical request.
func (c *claim) checkSignedHeaders(r *http.Request) *Failure {
	var unsigned []string
	for name := range r.Header {
		name = strings.ToLower(name)
		if !strings.HasPrefix(name, "x-amz-") || name == "x-amz-content-sha256" {
			continue
		}
		if _, found := slices.BinarySearch(c.SignedHeaders, name); !found {
			unsigned = append(unsigned, name)
		}
	}
	if len(unsigned) == 0 {
		return nil
	}
	slices.Sort(unsigned)
	f := fail(UnsignedHeaders, "There were headers present in the request which were not signed")
	f.Headers = unsigned
	return f
}

// checkTime holds the signature's time against the clock. STS gives every
// presigned request the same 15 minutes and ignores X-Amz-Expires, which is
// why an EKS token with X-Amz-Expires=60 lives for a quarter of an hour.
func (c *claim) checkTime(now time.Time, skew time.Duration) *Failure {
	now = now.UTC()
	minutes := int(skew / time.Minute)
	if c.Time.After(now.Add(skew)) {
		return fail(Skewed, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %d min.)",
			c.amzDate, now.Add(skew).Format(timeFormat), now.Format(timeFormat), minutes))
	}
	if c.Presigned && c.Service != "sts" {
		if now.After(c.Time.Add(c.Expires)) {
			return fail(ExpiredPresign, "Request has expired")
		}
		return nil
	}
	if c.Time.Before(now.Add(-skew)) {
		return fail(Skewed, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %d min.)",
			c.amzDate, now.Add(-skew).Format(timeFormat), now.Format(timeFormat), minutes))
	}
	return nil
}
