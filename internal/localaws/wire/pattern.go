package wire

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	unicodeEscape = regexp.MustCompile(`\\u[0-9A-Fa-f]{4}`)
	bigRepeat     = regexp.MustCompile(`\{(\d+),(\d+)\}`)
	javaOnly      = strings.NewReplacer(
		`\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`, // all surrogate pairs
		`\p{Print}`, `[[:print:]]`,
	)
)

// compilePattern turns a pattern of a model into a predicate on whole values.
// The models' patterns are Java's and AWS applies them with matches(), that is,
// to the whole value.
//
// Go's syntax differs: \uXXXX is written \x{XXXX}, and a repetition past 1,000
// is not accepted and becomes unbounded, as the length constraint beside it
// still holds. The one lookahead in use, "-(?!-)" of account aliases, becomes a
// second condition.
func compilePattern(source string) (func(string) bool, error) {
	double := false
	translated := javaOnly.Replace(source)
	if strings.Contains(translated, "-(?!-)") { // a hyphen that no hyphen follows
		translated = strings.ReplaceAll(source, "-(?!-)", "-")
		double = true
	}
	translated = unicodeEscape.ReplaceAllStringFunc(translated, func(escape string) string {
		return `\x{` + escape[2:] + `}`
	})
	translated = bigRepeat.ReplaceAllStringFunc(translated, func(repeat string) string {
		bounds := bigRepeat.FindStringSubmatch(repeat)
		if most, err := strconv.Atoi(bounds[2]); err != nil || most <= 1000 {
			return repeat
		}
		return "{" + bounds[1] + ",}"
	})
	re, err := regexp.Compile(`^(?:` + translated + `)$`)
	if err != nil {
		return nil, err
	}
	return func(text string) bool {
		return re.MatchString(text) && !(double && strings.Contains(text, "--"))
	}, nil
}
