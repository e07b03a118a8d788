package authz

import (
	"io"
	"strings"
)

// A Bundle is the answer to a call that takes more than one permission: reading
// a secret takes kms:Decrypt on its key, too. AWS makes the call only if every
// part is allowed. The zero Bundle has no parts and allows nothing.
type Bundle struct {
	Outcome Outcome `json:"outcome"`
	Parts   []Part  `json:"parts"` // the call itself first
}

// Part is one of the permissions that a call takes.
type Part struct {
	// Why says what the permission is needed for: "the secret is encrypted
	// under this key"; "" for the action of the call itself.
	Why      string   `json:"why,omitempty"`
	Decision Decision `json:"decision"`
}

// NewBundle combines parts. The outcome is that of the first part that is
// denied; Unknown when none is and one is unknown; Allowed when all are.
func NewBundle(parts ...Part) Bundle {
	b := Bundle{Parts: parts}
	if i := b.deciding(); i >= 0 {
		b.Outcome = parts[i].Decision.Outcome
	} else if len(parts) > 0 {
		b.Outcome = Allowed
	}
	return b
}

// deciding indexes the part that keeps the call from being allowed, -1 when
// none does.
func (b *Bundle) deciding() int {
	unknown := -1
	for i := range b.Parts {
		switch b.Parts[i].Decision.Outcome {
		case ImplicitDeny, ExplicitDeny:
			return i
		case Unknown:
			if unknown < 0 {
				unknown = i
			}
		case Allowed, NotApplicable:
		}
	}
	return unknown
}

// Allowed reports whether AWS would make the call.
func (b Bundle) Allowed() bool { return b.Outcome == Allowed }

// Summary says in one line what was decided: the summary of the only part; of
// the part that keeps the call from being made, with what that part is for; of
// every part that is not known; or which permissions there are.
func (b Bundle) Summary() string {
	i := b.deciding()
	switch {
	case len(b.Parts) == 0:
		return "denied: nothing was asked"
	case len(b.Parts) == 1:
		return b.Parts[0].Decision.Summary()
	case b.Outcome == Unknown:
		return b.list("; and ", func(p *Part) string {
			if p.Decision.Outcome != Unknown {
				return ""
			}
			return p.summary()
		})
	case i < 0:
		return "allowed: " + b.list(", ", func(p *Part) string { return p.Decision.Action })
	}
	return b.Parts[i].summary()
}

// list joins what parts say, without those that say nothing.
func (b *Bundle) list(separator string, say func(*Part) string) string {
	var list []string
	for i := range b.Parts {
		if text := say(&b.Parts[i]); text != "" {
			list = append(list, text)
		}
	}
	return strings.Join(list, separator)
}

func (p *Part) summary() string {
	text := p.Decision.Action + " on " + p.Decision.Resource + ": " + p.Decision.Summary()
	if p.Why != "" {
		text += " (needed because " + p.Why + ")"
	}
	return text
}

// Text is what Explain writes.
func (b Bundle) Text() string {
	var w strings.Builder
	_ = b.Explain(&w) // a Builder takes everything
	return w.String()
}

// Explain writes each part under its action and resource, as
// [Decision.Explain] does. The error is w's own.
func (b Bundle) Explain(w io.Writer) error {
	for i := range b.Parts {
		p := &b.Parts[i]
		var text strings.Builder
		text.WriteString(p.Decision.Action + " on " + p.Decision.Resource)
		if p.Why != "" {
			text.WriteString(", because " + p.Why)
		}
		text.WriteByte('\n')
		for line := range strings.Lines(p.Decision.Text()) {
			text.WriteString("  " + line)
		}
		if _, err := io.WriteString(w, text.String()); err != nil {
			return err
		}
	}
	return nil
}
