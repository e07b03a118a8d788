package attribute

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"
)

// Limits of numbers ("Data types", DynamoDB developer guide): 38 digits,
// magnitudes from 1E-130 to 9.99…E+125.
const (
	maxDigits   = 38
	maxExponent = 126 // of 0.ddd × 10^exponent
	minExponent = -129
)

const (
	errOverflow  Problem = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	errUnderflow Problem = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
	errPrecision Problem = "Attempting to store more than 38 significant digits in a Number"
)

// decimal is the number 0.digits × 10^exponent; zero has no digits.
type decimal struct {
	negative bool
	digits   string // without zeros at either end
	exponent int
}

func parse(s string) (decimal, error) {
	bad := Problemf("The parameter cannot be converted to a numeric value: %s", s)
	text := strings.TrimSpace(s)
	var d decimal
	if text != "" && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	mantissa, power := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil || len(text)-i > 8 {
			return decimal{}, bad
		}
		mantissa, power = text[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	if all == "" || strings.Trim(all, "0123456789") != "" {
		return decimal{}, bad
	}
	digits := strings.TrimLeft(all, "0")
	d.exponent = len(whole) + power - (len(all) - len(digits))
	d.digits = strings.TrimRight(digits, "0")
	if d.digits == "" {
		return decimal{}, nil
	}
	return d, d.check()
}

func (d decimal) check() error {
	switch {
	case d.exponent > maxExponent:
		return errOverflow
	case d.exponent < minExponent:
		return errUnderflow
	case len(d.digits) > maxDigits:
		return errPrecision
	}
	return nil
}

// String writes the number without an exponent, as DynamoDB returns it.
func (d decimal) String() string {
	if d.digits == "" {
		return "0"
	}
	var s string
	switch n := len(d.digits); {
	case d.exponent <= 0:
		s = "0." + strings.Repeat("0", -d.exponent) + d.digits
	case d.exponent >= n:
		s = d.digits + strings.Repeat("0", d.exponent-n)
	default:
		s = d.digits[:d.exponent] + "." + d.digits[d.exponent:]
	}
	if d.negative {
		return "-" + s
	}
	return s
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d decimal) compare(other decimal) int {
	if n := cmp.Compare(d.sign(), other.sign()); n != 0 || d.sign() == 0 {
		return n
	}
	n := cmp.Compare(d.exponent, other.exponent)
	if n == 0 {
		n = cmp.Compare(d.digits, other.digits)
	}
	return n * d.sign()
}

// scaled is d × 10^places as an integer; places must be enough.
func (d decimal) scaled(places int) *big.Int {
	n := new(big.Int)
	if d.digits == "" {
		return n
	}
	n.SetString(d.digits+strings.Repeat("0", places+d.exponent-len(d.digits)), 10)
	if d.negative {
		n.Neg(n)
	}
	return n
}

func (d decimal) add(other decimal, subtract bool) (decimal, error) {
	if subtract {
		other.negative = !other.negative
	}
	places := max(len(d.digits)-d.exponent, len(other.digits)-other.exponent, 0)
	sum := new(big.Int).Add(d.scaled(places), other.scaled(places))
	out := decimal{negative: sum.Sign() < 0}
	text := new(big.Int).Abs(sum).String()
	out.exponent = len(text) - places
	out.digits = strings.TrimRight(text, "0")
	if out.digits == "" {
		return decimal{}, nil
	}
	return out, out.check()
}

// Canonical is how a number is stored and returned. The error is one a client
// can be shown.
func Canonical(s string) (string, error) {
	d, err := parse(s)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}
