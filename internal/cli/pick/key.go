package pick

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Key is a key that was pressed: a letter, or one with a name.
type Key struct {
	Rune rune
	Name Name
}

// Name is a key's name.
type Name int

// The keys with names. Other ones are Unknown, and do nothing.
const (
	Unknown Name = iota
	Enter
	Escape // and what interrupts
	Backspace
	EraseWord
	EraseLine
	Up
	Down
	PageUp
	PageDown
	Home
	End
)

// controls are what terminals send for keys held with Ctrl, and some others.
func control(b byte) Name {
	switch b {
	case '\r', '\n':
		return Enter
	case 3, 4, 7: // ^C, ^D, ^G
		return Escape
	case 8, 127:
		return Backspace
	case 23: // ^W
		return EraseWord
	case 21: // ^U
		return EraseLine
	case 16, 11: // ^P, ^K
		return Up
	case 14: // ^N
		return Down
	}
	return Unknown
}

// sequence is what follows ESC for a key, without the parameters of modifiers.
func sequence(s string) Name {
	switch s {
	case "[A", "OA":
		return Up
	case "[B", "OB":
		return Down
	case "[5~":
		return PageUp
	case "[6~":
		return PageDown
	case "[H", "OH", "[1~", "[7~":
		return Home
	case "[F", "OF", "[4~", "[8~":
		return End
	}
	return Unknown
}

// Next takes the first key off what a terminal has sent. ok is false when there is
// no whole one: more of it will come, or it was the key Escape.
func Next(in []byte) (k Key, rest []byte, ok bool) {
	switch {
	case len(in) == 0:
		return Key{}, in, false
	case in[0] == 27:
		return escaped(in)
	case in[0] < 32 || in[0] == 127:
		return Key{Name: control(in[0])}, in[1:], true
	case !utf8.FullRune(in):
		return Key{}, in, false
	}
	r, size := utf8.DecodeRune(in)
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return Key{}, in[size:], true
	}
	return Key{Rune: r}, in[size:], true
}

// escaped reads a sequence: ESC [ parameters letter, ESC O letter, or ESC and a
// key, which is that key held with Alt.
func escaped(in []byte) (Key, []byte, bool) {
	if len(in) == 1 {
		return Key{}, in, false
	}
	if in[1] != '[' && in[1] != 'O' {
		if in[1] == 27 {
			return Key{Name: Escape}, in[1:], true
		}
		return Key{}, in[2:], true
	}
	end := 2
	for end < len(in) && (in[1] == '[' && in[end] < 0x40) {
		end++
	}
	if end >= len(in) {
		return Key{}, in, len(in) > 32 // no key is so long
	}
	final := string(in[end])
	parameters, _, _ := strings.Cut(string(in[2:end]), ";")
	if final != "~" {
		parameters = ""
	}
	return Key{Name: sequence(string(in[1]) + parameters + final)}, in[end+1:], true
}
