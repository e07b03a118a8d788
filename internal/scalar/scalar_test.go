package scalar_test

import (
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/scalar"
)

func TestDecimalsCompareByValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`[+-]?[0-9]{1,6}(\.[0-9]{0,6})?`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, ok1 := scalar.ParseDecimal(a)
		y, ok2 := scalar.ParseDecimal(b)
		if !ok1 || !ok2 {
			t.Fatalf("ParseDecimal(%q), ParseDecimal(%q) = %v, %v", a, b, ok1, ok2)
		}
		wantX, _ := new(big.Rat).SetString(a)
		wantY, _ := new(big.Rat).SetString(b)
		got, want := x.Compare(y), wantX.Cmp(wantY)
		if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
			t.Errorf("%s compared with %s = %d, want %d", a, b, got, want)
		}
	})
}

func TestWhatIsNoDecimal(t *testing.T) {
	for _, s := range []string{"", ".", "-", "+.", "1e3", "0x10", "1,5", " 1", "1 ", "--1", "1.2.3", "NaN"} {
		if d, ok := scalar.ParseDecimal(s); ok {
			t.Errorf("ParseDecimal(%q) = %v, want none", s, d)
		}
	}
}

func TestParseDate(t *testing.T) {
	tests := []struct{ in, want string }{
		{"2026", "2026-01-01T00:00:00Z"},
		{"2026-10", "2026-10-01T00:00:00Z"},
		{"2026-10-01", "2026-10-01T00:00:00Z"},
		{"2026-10-01T12:30Z", "2026-10-01T12:30:00Z"},
		{"2026-10-01T12:30:15Z", "2026-10-01T12:30:15Z"},
		{"2026-10-01T12:30:15.25Z", "2026-10-01T12:30:15.25Z"},
		{"2026-10-01T12:30:15+02:00", "2026-10-01T10:30:15Z"},
		{"2026-10-01T12:30-05:30", "2026-10-01T18:00:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"0", "1970-01-01T00:00:00Z"},
		{"1790856000", "2026-10-01T12:00:00Z"},
		{"1790856000.5", "2026-10-01T12:00:00.5Z"},
		{"-1", "1969-12-31T23:59:59Z"},
		// Not the W3C profile.
		{"2026-10-01T12:30:15", ""},
		{"2026-10-01 12:30:15Z", ""},
		{"20261001T123015Z", ""},
		{"2026-02-30", ""},
		{"2026-13-01", ""},
		{"2026-10-01T24:00Z", ""},
		{"2026-10-01T12:30:15.Z", ""},
		{"2026-10-01T12:30:15Zx", ""},
		{"26-10-01", ""},
		{"", ""},
		{"tomorrow", ""},
		{"99999999999999999999", ""},
	}
	for _, tt := range tests {
		got, ok := scalar.ParseDate(tt.in)
		if !ok && tt.want == "" {
			continue
		}
		if text := got.UTC().Format(time.RFC3339Nano); !ok || text != tt.want {
			t.Errorf("ParseDate(%q) = %s %v, want %s", tt.in, text, ok, tt.want)
		}
	}
}

func TestNetworks(t *testing.T) {
	tests := []struct {
		network, addr string
		in, open      bool
	}{
		{"203.0.113.0/24", "203.0.113.255", true, false},
		{"203.0.113.0/24", "203.0.114.0", false, false},
		{"203.0.113.9/24", "203.0.113.1", true, false},
		{"203.0.113.9", "203.0.113.9", true, false},
		{"203.0.113.9", "203.0.113.8", false, false},
		{"2001:db8::/32", "2001:DB8:0:0::1", true, false},
		{"2001:db8::1", "2001:db8::1", true, false},
		{"2001:db8::1", "2001:db8::2", false, true},
		{"2001:db8::1", "2001:db9::1", false, false},
		{"0.0.0.0/0", "::1", false, false},
	}
	for _, tt := range tests {
		n, ok := scalar.ParseNetwork(tt.network)
		a, ok2 := scalar.ParseAddr(tt.addr)
		if !ok || !ok2 {
			t.Fatalf("ParseNetwork(%q), ParseAddr(%q) = %v, %v", tt.network, tt.addr, ok, ok2)
		}
		if in, open := n.Contains(a); in != tt.in || open != tt.open {
			t.Errorf("%s contains %s = %v %v, want %v %v", tt.network, tt.addr, in, open, tt.in, tt.open)
		}
	}
	for _, s := range []string{"", "203.0.113.0/33", "203.0.113", "host", "1.2.3.4/24/8", "::/129"} {
		if _, ok := scalar.ParseNetwork(s); ok {
			t.Errorf("ParseNetwork(%q) succeeds", s)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, seed := range []string{"203.0.113.7", "1.2.3", "01.2.3.4", "::", "::1", "2001:db8::", "1:2:3:4:5:6:7:8", "1::2::3", "::ffff:1.2.3.4", "1.2.3.4::", ":1", "1:", "fe80::1%eth0", "12345::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "%") {
			return // zones have no place in a request's address
		}
		want, err := netip.ParseAddr(s)
		got, ok := scalar.ParseAddr(s)
		if ok != (err == nil) || ok && got != want {
			t.Errorf("ParseAddr(%q) = %v %v, netip says %v %v", s, got, ok, want, err)
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"2026", "2026-10", "2026-10-01", "2026-10-01T12:00Z", "2026-10-01T12:00:00Z", "2026-10-01T12:00:00.5+02:00", "2026-02-30", "2024-02-29", "1790856000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := scalar.ParseDate(s)
		for _, layout := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04Z07:00", time.RFC3339Nano} {
			want, err := time.Parse(layout, s)
			// time.Parse takes more than one spelling of some dates.
			if err == nil && want.Format(layout) == s && (!ok || !got.Equal(want)) {
				t.Errorf("ParseDate(%q) = %v %v, want %v", s, got, ok, want)
			}
		}
	})
}
