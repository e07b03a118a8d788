// Package glob compares texts with patterns that have IAM's two wildcards: *
// for any run of characters, none included, and ? for exactly one.
//
// [Plain] takes a pattern as it is written. [Match] takes one in compiled form,
// where the wildcards are bytes that UTF-8 never contains, so that an asterisk
// which must be taken literally can stand as itself; [Encode] compiles, byte by
// byte. Nothing is allocated. Policy variables are not known here.
//
// Patterns come from whoever writes a policy, texts from whoever sends a
// request, so both are taken to be hostile. Each run of the pattern between two
// asterisks is looked for once, from where the one before it ended, and never
// again: the time is linear in pattern and text. Only a run with ? in it may
// cost an eighth of its length for each character of the text, or, in a text
// that is not ASCII, all of it.
package glob

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// The wildcards of compiled text.
const (
	AnyRun  = 0xFF // *: any run of characters, none included
	AnyChar = 0xFE // ?: exactly one character
)

// Encode gives the byte that stands for c in compiled text. Bytes that are
// not UTF-8 are replaced so that they can't pose as wildcards.
func Encode(c byte, wildcards bool) byte {
	switch {
	case c == '*' && wildcards:
		return AnyRun
	case c == '?' && wildcards:
		return AnyChar
	case c == AnyRun || c == AnyChar:
		return 0xC0 // no UTF-8 text has it either, and it is no wildcard
	}
	return c
}

// Index finds the first wildcard of compiled text; -1 means that there is none.
func Index(text string) int {
	for i := range len(text) {
		if text[i] == AnyRun || text[i] == AnyChar {
			return i
		}
	}
	return -1
}

// Match reports whether compiled text describes the whole of s.
func Match(text, s string) bool {
	m := matcher{run: AnyRun, one: AnyChar}
	return m.match(text, s)
}

// Plain reports whether pattern, as it is written, describes the whole of s.
// Letter case counts, and there is no way to write a literal asterisk.
func Plain(pattern, s string) bool {
	m := matcher{run: '*', one: '?'}
	return m.match(pattern, s)
}

// A matcher is one comparison.
type matcher struct {
	run, one byte // the wildcards
	// steps is what the comparison has cost so far: bytes of literal text
	// compared or searched, and looks at places where a ? might be.
	steps int
	// ascii tells, once it was asked, whether the text is.
	ascii, asked bool
}

// match compares from both ends up to the outermost asterisks, and finds what
// stands between asterisks from left to right: the first place where it fits
// leaves most to what follows.
func (m *matcher) match(text, s string) bool {
	head, rest, more := m.cut(text)
	at := m.prefix(head, s)
	if at < 0 || !more {
		return at == len(s)
	}
	s = s[at:]
	last := strings.LastIndexByte(rest, m.run)
	end := m.suffix(rest[last+1:], s)
	if end < 0 {
		return false
	}
	s = s[:end]
	for rest = rest[:max(last, 0)]; rest != ""; {
		var segment string
		segment, rest, _ = m.cut(rest)
		if at = m.find(segment, s); at < 0 {
			return false
		}
		s = s[at:]
	}
	return true
}

// cut splits text at its first asterisk.
func (m *matcher) cut(text string) (before, after string, found bool) {
	i := strings.IndexByte(text, m.run)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// prefix gives the length of what p, which has no asterisk, describes at the
// beginning of s; -1 when it is not there.
func (m *matcher) prefix(p, s string) int {
	if strings.IndexByte(p, m.one) < 0 {
		m.steps += min(len(p), len(s))
		if !strings.HasPrefix(s, p) {
			return -1
		}
		return len(p)
	}
	i := 0
	for j := range len(p) {
		m.steps++
		switch {
		case i == len(s):
			return -1
		case p[j] == m.one:
			i += charLen(s[i:])
		case p[j] == s[i]:
			i++
		default:
			return -1
		}
	}
	return i
}

// suffix gives the place where p, which has no asterisk, begins that ends s; -1
// when it does not.
func (m *matcher) suffix(p, s string) int {
	if strings.IndexByte(p, m.one) < 0 {
		m.steps += min(len(p), len(s))
		if !strings.HasSuffix(s, p) {
			return -1
		}
		return len(s) - len(p)
	}
	i := len(s)
	for j := len(p) - 1; j >= 0; j-- {
		m.steps++
		switch {
		case i == 0:
			return -1
		case p[j] == m.one:
			_, n := utf8.DecodeLastRuneInString(s[:i])
			i -= n
		case p[j] == s[i-1]:
			i--
		default:
			return -1
		}
	}
	return i
}

// find gives the place in s after the first text that p, which has no asterisk,
// describes; -1 when there is none.
func (m *matcher) find(p, s string) int {
	if strings.IndexByte(p, m.one) < 0 {
		i := strings.Index(s, p)
		if i < 0 {
			m.steps += len(s)
			return -1
		}
		m.steps += i + len(p)
		return i + len(p)
	}
	if m.isASCII(s) {
		return m.findASCII(p, s)
	}
	for i := 0; i < len(s); i += charLen(s[i:]) {
		if n := m.prefix(p, s[i:]); n >= 0 {
			return i + n
		}
	}
	return -1
}

// findASCII is find in a text whose characters are bytes, so that all places
// where p could begin are equally far from those it must fit: eight are tried
// at a time, one in each byte of a word.
func (m *matcher) findASCII(p, s string) int {
	last := len(s) - len(p) // where p could begin last
	if last < 7 {
		for i := 0; i <= last; i++ {
			if m.prefix(p, s[i:]) >= 0 {
				return i + len(p)
			}
		}
		return -1
	}
	for i := 0; i <= last; i += 8 {
		i = min(i, last-7)
		if free := m.eight(p, s[i:]); free != 0 {
			return i + bits.TrailingZeros64(free)/8 + len(p)
		}
	}
	return -1
}

// The first and the last bit of each byte of a word.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// eight compares p with s from each of its first eight places on. The lowest
// bit of the result is in the byte of the first place where p fits; it is zero
// when there is none.
func (m *matcher) eight(p, s string) uint64 {
	differ := uint64(0) // a byte is zero where p fits so far
	for j := range len(p) {
		m.steps++
		if p[j] == m.one {
			continue
		}
		differ |= word(s[j:]) ^ ones*uint64(p[j])
		if (differ-ones)&^differ&highs == 0 { // no byte is zero
			return 0
		}
	}
	return (differ - ones) &^ differ & highs
}

// word is the first eight bytes of s, the first one lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// isASCII reports whether what is left of the text was ASCII when this was first asked.
func (m *matcher) isASCII(s string) bool {
	if m.asked {
		return m.ascii
	}
	m.asked, m.ascii = true, true
	m.steps += len(s)
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			m.ascii = false
			break
		}
	}
	return m.ascii
}

func charLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}
