package expression

import (
	"strings"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
)

// tokenKind is the kind of a token.
type tokenKind uint8

const (
	endToken tokenKind = iota
	wordToken
	nameToken  // #name
	valueToken // :value
	numberToken
	symbolToken
)

type token struct {
	kind tokenKind
	text string
	pos  int
}

// lex cuts an expression into tokens; the last one is the end.
func lex(src string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(src); {
		start := i
		c := src[i]
		kind := symbolToken
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '#' || c == ':':
			kind, i = placeholderKind(c), word(src, i+1)
			if i == start+1 {
				return nil, syntaxError(src, token{text: string(c), pos: start})
			}
		case c >= '0' && c <= '9':
			kind = numberToken
			for i < len(src) && src[i] >= '0' && src[i] <= '9' {
				i++
			}
		case !notNameRune(rune(c)):
			kind, i = wordToken, word(src, i)
		default:
			n := symbol(src[i:])
			if n == 0 {
				return nil, attribute.Problemf("Invalid character in expression; character: %q, near: %q", src[i:i+1], near(src, i))
			}
			i += n
		}
		tokens = append(tokens, token{kind, src[start:i], start})
	}
	return append(tokens, token{endToken, "<EOF>", len(src)}), nil
}

func placeholderKind(c byte) tokenKind {
	if c == '#' {
		return nameToken
	}
	return valueToken
}

// word is where the word that begins at i ends.
func word(src string, i int) int {
	for i < len(src) && !notNameRune(rune(src[i])) {
		i++
	}
	return i
}

// symbol is the length of the symbol at the beginning of s, 0 for none.
func symbol(s string) int {
	for _, two := range []string{"<>", "<=", ">="} {
		if strings.HasPrefix(s, two) {
			return 2
		}
	}
	if strings.IndexByte("()[],.=<>+-", s[0]) >= 0 {
		return 1
	}
	return 0
}

func syntaxError(src string, t token) error {
	return attribute.Problemf("Syntax error; token: %q, near: %q", t.text, near(src, t.pos))
}

// near is the surroundings of a position, for messages.
func near(src string, pos int) string {
	const around = 12
	return strings.ToValidUTF8(src[max(0, pos-around):min(len(src), pos+around)], "?")
}
