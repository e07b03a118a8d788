// Package glob compares texts with patterns that have IAM's two wildcards.
//
// A pattern is compared in compiled form, where the wildcards are bytes that
// UTF-8 never contains, so that an asterisk which must be taken literally can
// stand as itself: [Encode] compiles, byte by byte, and [Match] compares
// without allocating. Policy variables are not known here.
package glob

import (
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

// Match compares s with compiled text. Only the last run of * seen is ever
// tried again, so that the time is at most len(text)·len(s).
func Match(text, s string) bool {
	p, i := 0, 0
	retryP, retryI := -1, 0
	for i < len(s) {
		switch {
		case p < len(text) && text[p] == AnyRun:
			p++
			retryP, retryI = p, i
			continue
		case p < len(text) && text[p] == AnyChar:
			p++
			i += charLen(s[i:])
			continue
		case p < len(text) && text[p] == s[i]:
			p++
			i++
			continue
		}
		if retryP < 0 {
			return false
		}
		retryI += charLen(s[retryI:])
		p, i = retryP, retryI
	}
	for p < len(text) && text[p] == AnyRun {
		p++
	}
	return p == len(text)
}

func charLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}
