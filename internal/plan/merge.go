package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/policy"
)

// Merge is doc with op's statements put in the place of those with the same
// Sid, or at the end, and op's Sids removed. Every other statement stays where
// and as it is. doc is not changed.
func Merge(doc *policy.Document, op *MergeOp) *policy.Document {
	return doc.WithoutSid(op.Remove...).Merge(op.Put...)
}

// MergeText is Merge on a policy's text: what others wrote stays as it is to the
// byte, and what is removed leaves the text as it was before it was put. Where
// that cannot be, as in a text whose one statement stands outside of a list, or
// one that would be too long with its white space, it is the merged document
// printed. It is "" when no statement is left.
func MergeText(text string, op *MergeOp) (string, error) {
	doc := policy.NewDocument()
	if text != "" {
		parsed, err := policy.Parse([]byte(text))
		if err != nil {
			return "", err
		}
		doc = parsed
	}
	wanted := Merge(doc, op)
	if len(wanted.Statements) == 0 {
		return "", nil
	}
	spans := statementSpans(text)
	if len(spans) == 0 || len(spans) != len(doc.Statements) {
		return wanted.String(), nil
	}
	merged := mergeSpans(text, spans, doc, op)
	again, err := policy.Parse([]byte(merged))
	if err != nil || !policy.Equal(again, wanted) || len(merged) > limitOf(op.Kind) {
		return wanted.String(), nil
	}
	return merged, nil
}

func limitOf(k compile.TargetKind) int {
	if k == compile.KeyPolicy {
		return catalog.KMSKeyPolicySize
	}
	return catalog.SecretPolicySize
}

// mergeSpans puts the text together again from the statements that stay, with
// what stands between them, and those of op.
func mergeSpans(text string, spans []span, doc *policy.Document, op *MergeOp) string {
	var out strings.Builder
	out.WriteString(text[:spans[0].start])
	put := slices.Clone(op.Put)
	replaced := map[string]bool{}
	written := 0
	for i, s := range spans {
		statement, sid := text[s.start:s.end], doc.Statements[i].Sid
		at := slices.IndexFunc(put, func(p policy.Statement) bool { return sid != "" && p.Sid == sid })
		switch {
		case sid != "" && (slices.Contains(op.Remove, sid) || replaced[sid]):
			continue
		case at >= 0:
			statement, replaced[sid] = statementText(&put[at]), true
			put = slices.Delete(put, at, at+1)
		}
		if written > 0 {
			out.WriteString(text[spans[i-1].end:s.start])
		}
		out.WriteString(statement)
		written++
	}
	for i := range put {
		if written > 0 {
			out.WriteString(",")
		}
		out.WriteString(statementText(&put[i]))
		written++
	}
	out.WriteString(text[spans[len(spans)-1].end:])
	return out.String()
}

// statementText is a statement as Document.JSON prints it.
func statementText(st *policy.Statement) string {
	text := policy.NewDocument(*st).String()
	spans := statementSpans(text)
	return text[spans[0].start:spans[0].end]
}

// A span is where one statement stands in a policy's text.
type span struct{ start, end int }

// statementSpans finds the statements in the list under Statement; none when there
// is no such list, or the text is no JSON object.
func statementSpans(text string) []span {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil
		}
		if key == "Statement" {
			return elements(d, text)
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return nil
		}
	}
	return nil
}

func elements(d *json.Decoder, text string) []span {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil
	}
	var out []span
	for d.More() {
		start := int(d.InputOffset())
		start += len(text[start:]) - len(strings.TrimLeft(text[start:], ", \t\r\n"))
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil
		}
		out = append(out, span{start, int(d.InputOffset())})
	}
	return out
}
