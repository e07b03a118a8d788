// Package scalar reads numbers, dates and IP addresses as IAM's condition
// operators compare them. Package policy tells by it what is a date, package
// authz compares, so that the two agree.
//
// Start with [ParseDecimal], [ParseDate] and [ParseNetwork]. Nothing here
// allocates or keeps the text it is given, so that an evaluation can compare
// text in its own buffers; that is why it does not use the standard library's
// parsers, whose errors keep the text. It does not know operators.
package scalar

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

// Decimal is a number as it is written, without rounding. It shares the text
// it was parsed from.
type Decimal struct {
	negative    bool
	whole, frac string // without leading and trailing zeros
}

// ParseDecimal reads an integer or decimal, which is what AWS's numeric
// operators compare.
func ParseDecimal(s string) (Decimal, bool) {
	var d Decimal
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		s = s[1:]
	}
	whole, frac, _ := strings.Cut(s, ".")
	if len(whole)+len(frac) == 0 || !digits(whole) || !digits(frac) {
		return Decimal{}, false
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

// Compare is negative when d is less than o, 0 when they are equal in value.
func (d Decimal) Compare(o Decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	c := cmp.Or(cmp.Compare(len(d.whole), len(o.whole)), cmp.Compare(d.whole, o.whole), cmp.Compare(d.frac, o.frac))
	if d.negative {
		return -c
	}
	return c
}

// ParseDate reads a date of the W3C profile of ISO 8601, which AWS requires
// (a time must have a zone), or seconds since 1970. Four digits are a year.
// It does not use time.Parse, whose errors would keep s and so allocate.
func ParseDate(s string) (time.Time, bool) {
	if t, ok := ParseEpoch(s); ok {
		return t, true
	}
	d := dateScanner{ok: true}
	year := d.number(s, 4, 0, 9999)
	month, day, hour, minute, second, nanos, offset := 1, 1, 0, 0, 0, 0, 0
	if d.skip(s, '-') {
		month = d.number(s, 2, 1, 12)
		if d.skip(s, '-') {
			day = d.number(s, 2, 1, daysIn(year, month))
			if d.skip(s, 'T') {
				hour = d.number(s, 2, 0, 23)
				d.need(s, ':')
				minute = d.number(s, 2, 0, 59)
				if d.skip(s, ':') {
					second = d.number(s, 2, 0, 59)
					nanos = d.fraction(s)
				}
				offset = d.zone(s)
			}
		}
	}
	if !d.ok || d.at != len(s) {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second-offset, nanos, time.UTC), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// A dateScanner is a place in a date; ok turns false at the first part that
// is wrong. (It does not hold the text: that would make it escape.)
type dateScanner struct {
	at int
	ok bool
}

// number reads exactly width digits.
func (d *dateScanner) number(s string, width, low, high int) int {
	if len(s)-d.at < width || !digits(s[d.at:d.at+width]) {
		d.ok = false
		return low
	}
	n := 0
	for range width {
		n = n*10 + int(s[d.at]-'0')
		d.at++
	}
	if n < low || n > high {
		d.ok = false
		return low
	}
	return n
}

func (d *dateScanner) skip(s string, c byte) bool {
	if d.at >= len(s) || s[d.at] != c {
		return false
	}
	d.at++
	return true
}

func (d *dateScanner) need(s string, c byte) { d.ok = d.skip(s, c) && d.ok }

// fraction reads a fraction of a second; digits past nanoseconds are dropped.
func (d *dateScanner) fraction(s string) int {
	if !d.skip(s, '.') {
		return 0
	}
	n, scale, from := 0, 100_000_000, d.at
	for ; d.at < len(s) && s[d.at] >= '0' && s[d.at] <= '9'; d.at++ {
		n += int(s[d.at]-'0') * scale
		scale /= 10
	}
	d.ok = d.ok && d.at > from
	return n
}

// zone reads Z or an offset, and gives it in seconds east of UTC.
func (d *dateScanner) zone(s string) int {
	sign := 1
	switch {
	case d.skip(s, 'Z'):
		return 0
	case d.skip(s, '-'):
		sign = -1
	default:
		d.need(s, '+')
	}
	hours := d.number(s, 2, 0, 23)
	d.need(s, ':')
	return sign * (hours*3600 + d.number(s, 2, 0, 59)*60)
}

// maxEpoch is past the year 9999, the last one ISO 8601 can write.
const maxEpoch = 1 << 40

// ParseEpoch reads seconds since 1970, whole or decimal.
func ParseEpoch(s string) (time.Time, bool) {
	whole, frac, _ := strings.Cut(s, ".")
	if whole == "" || (len(whole) == 4 && frac == "") || !digits(strings.TrimPrefix(whole, "-")) || !digits(frac) {
		return time.Time{}, false
	}
	seconds, ok := parseInt(whole)
	if !ok || seconds > maxEpoch || seconds < -maxEpoch {
		return time.Time{}, false
	}
	nanos, scale := int64(0), int64(100_000_000)
	for i := 0; i < len(frac) && scale > 0; i++ {
		nanos += int64(frac[i]-'0') * scale
		scale /= 10
	}
	return time.Unix(seconds, nanos), true
}

// Network is an address or a range of addresses.
type Network struct {
	prefix netip.Prefix
	// Bare is set for an address without a prefix length. AWS documents /32
	// for it, which is one address of IPv4; for IPv6 it says nothing else.
	Bare bool
}

// ParseNetwork reads an address or a range in CIDR notation.
func ParseNetwork(s string) (Network, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return Network{prefix: p.Masked()}, err == nil
	}
	a, ok := ParseAddr(s)
	if !ok {
		return Network{}, false
	}
	return Network{prefix: netip.PrefixFrom(a, a.BitLen()), Bare: true}, true
}

// Contains reports whether a is in n. open is set for what only the /32 that
// AWS documents for an address without a length would include, where that is
// a range: in IPv6.
func (n Network) Contains(a netip.Addr) (in, open bool) {
	if n.prefix.Contains(a) {
		return true, false
	}
	if n.Bare && a.Is6() && n.prefix.Addr().Is6() {
		wide, err := n.prefix.Addr().Prefix(32)
		return false, err == nil && wide.Contains(a)
	}
	return false, false
}

// parseInt reads digits after an optional minus sign.
func parseInt(s string) (int64, bool) {
	digitsOnly := strings.TrimPrefix(s, "-")
	if digitsOnly == "" || len(digitsOnly) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := range len(digitsOnly) {
		n = n*10 + int64(digitsOnly[i]-'0')
	}
	if len(digitsOnly) < len(s) {
		n = -n
	}
	return n, true
}

// ParseAddr reads an IP address without a zone. It accepts what
// netip.ParseAddr does, whose errors would keep s and so allocate.
func ParseAddr(s string) (netip.Addr, bool) {
	if !strings.Contains(s, ":") {
		four, ok := parseIPv4(s)
		return netip.AddrFrom4(four), ok
	}
	var b [16]byte
	head, tail, compressed := strings.Cut(s, "::")
	n, ok := parseHextets(head, b[:], !compressed)
	if !compressed {
		return netip.AddrFrom16(b), ok && n == len(b)
	}
	var end [16]byte
	m, okTail := parseHextets(tail, end[:], true)
	if !ok || !okTail || n+m > len(b)-2 {
		return netip.Addr{}, false
	}
	copy(b[len(b)-m:], end[:m])
	return netip.AddrFrom16(b), true
}

// parseHextets reads groups of hexadecimal digits separated by colons, the
// last of which may be an IPv4 address, and gives the number of bytes.
func parseHextets(s string, to []byte, last bool) (int, bool) {
	n := 0
	for more := s != ""; more; {
		var group string
		group, s, more = strings.Cut(s, ":")
		if !more && last && strings.Contains(group, ".") {
			four, ok := parseIPv4(group)
			if !ok || n+4 > len(to) {
				return 0, false
			}
			return n + copy(to[n:], four[:]), true
		}
		v, ok := parseHex(group)
		if !ok || n+2 > len(to) {
			return 0, false
		}
		to[n], to[n+1] = byte(v>>8), byte(v)
		n += 2
	}
	return n, true
}

func parseHex(s string) (uint16, bool) {
	if s == "" || len(s) > 4 {
		return 0, false
	}
	v := uint16(0)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint16(c)
	}
	return v, true
}

func parseIPv4(s string) (b [4]byte, ok bool) {
	for i := range b {
		part, rest, more := strings.Cut(s, ".")
		if part == "" || len(part) > 3 || !digits(part) || (len(part) > 1 && part[0] == '0') || more != (i < 3) {
			return b, false
		}
		n := 0
		for j := range len(part) {
			n = n*10 + int(part[j]-'0')
		}
		if n > 255 {
			return b, false
		}
		b[i], s = byte(n), rest
	}
	return b, true
}
