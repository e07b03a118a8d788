package lint

import "strings"

// segment stands, in a resource type's pattern, for a value without slashes
// and colons.
const segment = '\x00'

// typePattern is an ARN of the Service Authorization Reference,
// "arn:${Partition}:s3:::${BucketName}", as a pattern: * for what may be any
// text, segment for variables known to have neither slash nor colon.
func typePattern(text string) string {
	var b strings.Builder
	for {
		literal, rest, found := strings.Cut(text, "${")
		b.WriteString(literal)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		switch name {
		case "Partition", "Region", "Account", "BucketName", "TableName":
			b.WriteByte(segment)
		default:
			b.WriteByte('*')
		}
		text = after
	}
}

// asPattern is a resource of a policy with its variables replaced by *.
func asPattern(resource string) string { return replaceVariables(resource, "*") }

// replaceVariables puts text in the place of every ${…}; one without end takes
// all that follows with it.
func replaceVariables(s, text string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(text)
		_, after, closed := strings.Cut(rest, "}")
		if !closed {
			return b.String()
		}
		s = after
	}
}

// maxPattern bounds the length of texts that are compared; ARNs are shorter.
const maxPattern = 2048

// overlaps reports whether some text fits both a resource of a policy, with *
// and ?, and a typePattern. It takes time in proportion to the product of the
// lengths; texts too long to be ARNs are said to overlap.
func overlaps(resource, kind string) bool {
	if len(resource) > maxPattern || len(kind) > maxPattern {
		return true
	}
	// next and row say, for a place in resource and each place in kind,
	// whether what follows both can be the same text.
	next := make([]bool, len(kind)+1)
	row := make([]bool, len(kind)+1)
	for i := len(resource); i >= 0; i-- {
		for j := len(kind); j >= 0; j-- {
			row[j] = overlapAt(resource, kind, i, j, next, row)
		}
		next, row = row, next
	}
	return next[0]
}

func overlapAt(a, b string, i, j int, next, row []bool) bool {
	endA, endB := i == len(a), j == len(b)
	wildB := !endB && (b[j] == '*' || b[j] == segment)
	switch {
	case endA && endB:
		return true
	case !endA && a[i] == '*':
		return next[j] || !endB && row[j+1]
	case wildB && row[j+1]:
		return true
	case endA || endB:
		return false
	case b[j] == '*':
		return next[j]
	case b[j] == segment:
		return a[i] != '/' && a[i] != ':' && next[j]
	}
	return (a[i] == '?' || a[i] == b[j]) && next[j+1]
}
