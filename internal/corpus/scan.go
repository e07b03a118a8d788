package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/policy"
)

// Bounds of what is read at once: one line of JSON Lines, or a whole file of
// another form.
const (
	maxLine = 16 << 20
	maxFile = 256 << 20
)

// Load reads one file. The error names the file and line of the first thing wrong.
func Load(name string, data []byte) ([]Case, error) {
	var all []Case
	for c, err := range Scan(name, bytes.NewReader(data)) {
		if err != nil {
			return nil, err
		}
		all = append(all, *c)
	}
	return all, nil
}

// Scan reads cases one after the other, up to the first error, which names the
// file and line of what is wrong. JSON Lines (.jsonl, .ndjson) are read as they
// come, however many there are; other forms are read whole. With a name that
// has no extension, as that of standard input, the first line tells the form:
// JSON Lines when it is a JSON object. The case is the caller's to keep.
func Scan(name string, r io.Reader) iter.Seq2[*Case, error] {
	return func(yield func(*Case, error) bool) {
		input := bufio.NewReaderSize(r, 1<<16)
		if start, _ := input.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
			_, _ = input.Discard(len(byteOrderMark)) // it is there
		}
		l := loader{file: name, byID: map[string]int{}, yield: yield}
		var err error
		switch ext := path.Ext(name); {
		case ext == ".jsonl" || ext == ".ndjson":
			err = l.lines(input, nil, 0)
		case ext == ".yaml" || ext == ".yml" || ext == ".json":
			err = l.whole(input)
		default:
			err = l.sniff(input)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// byteOrderMark is what editors on Windows begin a text with.
const byteOrderMark = "\ufeff"

// errStopped ends the reading when the caller has had enough.
var errStopped = errors.New("stopped")

// sniff finds out the form by the first line that is not empty.
func (l *loader) sniff(input *bufio.Reader) error {
	var before []byte
	for number := 1; ; number++ {
		line, err := readLine(input)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s:%d: %w", l.file, number, err)
		}
		if len(bytes.TrimSpace(line)) == 0 && err == nil {
			before = append(before, line...)
			continue
		}
		if n, bad := policy.ParseNode(line); bad == nil && n.Kind == policy.ObjectNode {
			return l.lines(input, line, number)
		}
		return l.whole(io.MultiReader(bytes.NewReader(before), bytes.NewReader(line), input))
	}
}

// lines reads JSON Lines; first, unless nil, is the line of the given number
// that has been read already.
func (l *loader) lines(input *bufio.Reader, first []byte, number int) error {
	l.alone = true
	if first != nil {
		if err := l.line(first, number); err != nil {
			return err
		}
	}
	for number++; ; number++ {
		text, err := readLine(input)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s:%d: %w", l.file, number, err)
		}
		if bad := l.line(text, number); bad != nil || err != nil {
			return bad
		}
	}
}

// readLine reads up to and with the next line feed. The error is io.EOF after
// the last line.
func readLine(input *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := input.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("a line of more than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return line, err
	}
}

// line reads one line of JSON Lines, which may be empty.
func (l *loader) line(text []byte, number int) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	n, err := policy.ParseNode(text)
	if err != nil {
		return l.syntax(err, number-1)
	}
	shift(&n, number-1)
	return l.document(n)
}

// syntax names the place of the first error of a JSON text whose first line
// has `before` lines before it.
func (l *loader) syntax(err error, before int) error {
	if list, ok := errors.AsType[policy.Errors](err); ok && len(list) > 0 {
		return fmt.Errorf("reading %s:%d:%d: %s", l.file, list[0].Pos.Line+before, list[0].Pos.Column, list[0].Msg)
	}
	return fmt.Errorf("reading %s: %w", l.file, err)
}

// shift moves the positions of n down by some lines.
func shift(n *policy.Node, lines int) {
	n.Pos.Line += lines
	for i := range n.Items {
		shift(&n.Items[i], lines)
	}
	for i := range n.Members {
		n.Members[i].NamePos.Line += lines
		shift(&n.Members[i].Value, lines)
	}
}

// whole reads a JSON text, or YAML documents.
func (l *loader) whole(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading %s: %w", l.file, err)
	case len(data) > maxFile:
		return fmt.Errorf("reading %s: more than %d bytes; a file of that size should be JSON Lines", l.file, maxFile)
	}
	if path.Ext(l.file) == ".json" {
		n, err := policy.ParseNode(data)
		if err != nil {
			return l.syntax(err, 0)
		}
		return l.document(n)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", l.file, err)
		}
		if len(document.Content) == 0 {
			continue
		}
		n, err := fromYAML(document.Content[0])
		if err != nil {
			return fmt.Errorf("reading %s:%w", l.file, err)
		}
		if err := l.document(n); err != nil {
			return err
		}
	}
}
