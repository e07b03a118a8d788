package authz

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// decimal is a number as it is written: no rounding, no allocation.
type decimal struct {
	negative    bool
	whole, frac string // without leading and trailing zeros
}

// parseDecimal reads an integer or decimal, which is what AWS's numeric
// operators compare.
func parseDecimal(s string) (decimal, bool) {
	var d decimal
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		s = s[1:]
	}
	whole, frac, _ := strings.Cut(s, ".")
	if len(whole)+len(frac) == 0 || !digits(whole) || !digits(frac) {
		return decimal{}, false
	}
	d.whole = strings.TrimLeft(whole, "0")
	d.frac = strings.TrimRight(frac, "0")
	if d.whole == "" && d.frac == "" {
		d.negative = false
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (d decimal) compare(o decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	c := cmp.Or(cmp.Compare(len(d.whole), len(o.whole)), strings.Compare(d.whole, o.whole), strings.Compare(d.frac, o.frac))
	if d.negative {
		return -c
	}
	return c
}

// instant is a point in time as a date operator compares it.
type instant = time.Time

// dateLayouts are the W3C profile of ISO 8601, the form AWS requires; a time
// without a zone is not one of them.
var dateLayouts = [...]string{
	time.RFC3339Nano, // fractions are optional when parsing
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006-01",
	"2006",
}

// parseDate reads an ISO 8601 date, or seconds since 1970. Four digits are a year.
func parseDate(s string) (instant, bool) {
	if t, ok := parseEpoch(s); ok {
		return t, true
	}
	// A longer string is none of the layouts; time.Parse would build an error out of all of it.
	if len(s) > len("2006-01-02T15:04:05.999999999+00:00") || !dateShaped(s) {
		return instant{}, false
	}
	for _, layout := range dateLayouts {
		if !strings.HasPrefix(layout, "2006-01-02T") && len(layout) != len(s) {
			continue
		}
		if layout == time.RFC3339Nano && strings.Count(s, ":") < 2 {
			continue
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return instant{}, false
}

// dateShaped keeps strings that can't be dates away from time.Parse.
func dateShaped(s string) bool {
	for i := range len(s) {
		if !strings.ContainsRune("0123456789-:+.TZ", rune(s[i])) {
			return false
		}
	}
	return len(s) >= 4
}

// maxEpoch is past the year 9999, the last one ISO 8601 can write.
const maxEpoch = 1 << 40

func parseEpoch(s string) (instant, bool) {
	whole, frac, _ := strings.Cut(s, ".")
	if whole == "" || (len(whole) == 4 && frac == "") || !digits(strings.TrimPrefix(whole, "-")) || !digits(frac) {
		return instant{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > maxEpoch || seconds < -maxEpoch {
		return instant{}, false
	}
	nanos, scale := int64(0), int64(100_000_000)
	for i := 0; i < len(frac) && scale > 0; i++ {
		nanos += int64(frac[i]-'0') * scale
		scale /= 10
	}
	return time.Unix(seconds, nanos), true
}

// network is an address or a range of addresses.
type network struct {
	prefix netip.Prefix
	// bare is set for an address without a prefix length. AWS documents /32
	// for it, which is one address of IPv4; for IPv6 it says nothing else.
	bare bool
}

func parseNetwork(s string) (network, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return network{prefix: p.Masked()}, err == nil
	}
	a, err := parseAddr(s)
	if err != nil {
		return network{}, false
	}
	return network{prefix: netip.PrefixFrom(a, a.BitLen()), bare: true}, true
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), err
}

// contains reports whether a is in n. For a bare IPv6 address it is Maybe for
// what only the /32 that AWS documents would include.
func (n network) contains(a netip.Addr) Match {
	if n.prefix.Contains(a) {
		return Yes
	}
	if n.bare && a.Is6() && n.prefix.Addr().Is6() {
		wide, err := n.prefix.Addr().Prefix(32)
		if err == nil && wide.Contains(a) {
			return Maybe
		}
	}
	return No
}
