// Package awsconfig writes profiles into AWS config and credentials files without
// touching what is there: everything of ours stands in one marked block, and every
// byte outside it stays as it is, whatever it is.
//
//	# stile begin payroll: written by stile, changes are lost
//	[profile orders-prod]
//	…
//	# stile end payroll
//
// [Edit] gives the new text of a file. It refuses to write a section that the file
// has already outside the block: of two sections of one name, clients merge or
// take the later one. The package is pure; reading and replacing the file is its
// caller's work.
//
// Source of the format: AWS CLI User Guide, "Configuration and credential file
// settings"; botocore's configloader.py for what it accepts.
package awsconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Section is one section of a config file: a heading and its settings.
type Section struct {
	Heading  string // without brackets: "profile orders-prod", "sso-session acme", "default"
	Settings []Setting
}

// Setting is one line of a section.
type Setting struct{ Name, Value string }

// Edit gives text with the block of owner holding sections, in place of the block
// that is there, or at the end. No sections remove the block. Text that has no such
// block and gets none is returned as it is. owner is a word of letters, digits
// and hyphens.
func Edit(text []byte, owner string, sections []Section) ([]byte, error) {
	if !isWord(owner) {
		return nil, fmt.Errorf("editing an AWS config file: %q is no name for a block: want letters, digits and hyphens", owner)
	}
	block, found, err := find(text, owner)
	if err != nil {
		return nil, fmt.Errorf("editing an AWS config file: %w", err)
	}
	before, after := text, []byte(nil)
	if found {
		before, after = text[:block.start], text[block.end:]
	}
	if err := conflicts(sections, before, after); err != nil {
		return nil, fmt.Errorf("editing an AWS config file: %w", err)
	}
	like := text // whose line ends ours are like
	if found {
		like = text[block.start:]
	}
	newline := "\n"
	if i := bytes.IndexByte(like, '\n'); i > 0 && like[i-1] == '\r' {
		newline = "\r\n"
	}
	written, err := write(owner, sections, newline)
	switch {
	case err != nil:
		return nil, fmt.Errorf("editing an AWS config file: %w", err)
	case found:
		return slices.Concat(before, written, after), nil
	case len(sections) == 0:
		return text, nil
	}
	// A last line without its end gets one inside the block's mark, so that
	// removing the block gives the file back as it was.
	join := ""
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		join = newline
	}
	return slices.Concat(text, []byte(join), written), nil
}

// Sections are those that the block of owner holds, none when there is no such
// block.
func Sections(text []byte, owner string) ([]Section, error) {
	block, found, err := find(text, owner)
	if err != nil || !found {
		return nil, err
	}
	var out []Section
	for line := range bytes.Lines(text[block.start:block.end]) {
		if heading, ok := headingOf(line); ok {
			out = append(out, Section{Heading: heading})
			continue
		}
		name, value, ok := strings.Cut(string(line), "=")
		if ok && len(out) > 0 && !strings.HasPrefix(name, "#") {
			last := &out[len(out)-1]
			last.Settings = append(last.Settings, Setting{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	return out, nil
}

// Owners lists the owners of the blocks in text, in their order.
func Owners(text []byte) []string {
	var out []string
	for line := range bytes.Lines(text) {
		if owner, ok := mark(line, beginMark); ok {
			out = append(out, owner)
		}
	}
	return out
}

const (
	beginMark = "# stile begin "
	endMark   = "# stile end "
	notice    = ": written by stile, changes are lost"
)

type span struct{ start, end int }

// find finds the block of owner. A block that does not end, or ends twice, is an
// error: nobody can say what in it is somebody else's.
func find(text []byte, owner string) (block span, found bool, err error) {
	inside := ""
	offset, number := 0, 0
	for line := range bytes.Lines(text) {
		number++
		at := offset
		offset += len(line)
		if name, ok := mark(line, beginMark); ok {
			switch {
			case inside != "":
				return span{}, false, fmt.Errorf("line %d: block %s begins inside block %s, which has no end; mend the marks by hand", number, name, inside)
			case name == owner && found:
				return span{}, false, fmt.Errorf("line %d: block %s begins a second time; remove one of them", number, name)
			}
			inside = name
			if name == owner {
				block.start = at
			}
			continue
		}
		name, ok := mark(line, endMark)
		if !ok {
			continue
		}
		if name != inside {
			return span{}, false, fmt.Errorf("line %d: block %s ends without a beginning; mend the marks by hand", number, name)
		}
		if name == owner {
			block.end, found = offset, true
		}
		inside = ""
	}
	if inside != "" {
		return span{}, false, fmt.Errorf("block %s has no end; mend the marks by hand", inside)
	}
	return block, found, nil
}

// mark reads a begin or end line.
func mark(line []byte, prefix string) (owner string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(string(line), "\r\n"), prefix)
	if !ok {
		return "", false
	}
	owner, _, _ = strings.Cut(rest, ":")
	owner = strings.TrimSpace(owner)
	return owner, isWord(owner)
}

// conflicts finds sections that the file has already.
func conflicts(sections []Section, texts ...[]byte) error {
	wanted := map[string]bool{}
	for _, s := range sections {
		if wanted[normal(s.Heading)] {
			return fmt.Errorf("section [%s] is given twice", s.Heading)
		}
		wanted[normal(s.Heading)] = true
	}
	for _, text := range texts {
		for line := range bytes.Lines(text) {
			if heading, ok := headingOf(line); ok && wanted[normal(heading)] {
				return fmt.Errorf("the file has a section [%s] of its own; rename or remove it first", heading)
			}
		}
	}
	return nil
}

// headingOf reads the heading of a section. Clients take blanks around the name
// and comments after it.
func headingOf(line []byte) (string, bool) {
	text := strings.TrimSpace(string(line))
	if !strings.HasPrefix(text, "[") {
		return "", false
	}
	name, _, closed := strings.Cut(text[1:], "]")
	return strings.TrimSpace(name), closed
}

// normal is a heading as clients compare it: quotes and the width of blanks do not count.
func normal(heading string) string {
	return strings.Join(strings.Fields(strings.NewReplacer(`"`, " ", "'", " ").Replace(heading)), " ")
}

// write writes a block; none for no sections.
func write(owner string, sections []Section, newline string) ([]byte, error) {
	if len(sections) == 0 {
		return nil, nil
	}
	var b strings.Builder
	b.WriteString(beginMark + owner + notice + newline)
	for i, s := range sections {
		if i > 0 {
			b.WriteString(newline)
		}
		if s.Heading == "" || strings.ContainsAny(s.Heading, "[]\r\n#;") {
			return nil, fmt.Errorf("%q is no heading of a section", s.Heading)
		}
		b.WriteString("[" + s.Heading + "]" + newline)
		for _, set := range s.Settings {
			// " #" begins a comment, a line that begins with a blank goes on the one before.
			if set.Name == "" || strings.ContainsAny(set.Name, "=:[]#; \t\r\n") || strings.ContainsAny(set.Value, "\r\n") ||
				strings.Contains(set.Value, " #") || strings.Contains(set.Value, " ;") || strings.TrimSpace(set.Value) != set.Value {
				return nil, fmt.Errorf("section [%s]: setting %s cannot be written", s.Heading, set.Name)
			}
			b.WriteString(set.Name + " = " + set.Value + newline)
		}
	}
	b.WriteString(endMark + owner + newline)
	return []byte(b.String()), nil
}

func isWord(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != ""
}
