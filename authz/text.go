package authz

import (
	"fmt"

	"github.com/stile-aws/stile/policy"
)

// The names of the enumerations are part of the JSON form of a decision.
var (
	outcomeNames = [...]string{"ImplicitDeny", "ExplicitDeny", "Allowed", "Unknown", "NotApplicable"}
	layerNames   = [...]string{"scp", "rcp", "endpoint", "boundary", "session", "identity", "resource", "trust", "key", "grant"}
	// policyTypes are AWS's own words ("Troubleshoot access denied error messages").
	policyTypes = [...]string{
		"service control policy", "resource control policy", "VPC endpoint policy", "permissions boundary", "session policy",
		"identity-based policy", "resource-based policy", "role trust policy", "KMS key policy", "KMS grant",
	}
	sideNames  = [...]string{"caller", "resource"}
	matchNames = [...]string{"no", "yes", "maybe"}
	kindNames  = [...]string{"anonymous", "root", "user", "role session", "federated user", "web identity", "SAML", "service"}
)

// String gives the name that JSON has, "ExplicitDeny".
func (o Outcome) String() string { return name(outcomeNames[:], int(o)) }

// MarshalText writes the name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a name that MarshalText wrote.
func (o *Outcome) UnmarshalText(text []byte) error { return unmarshalName(o, outcomeNames[:], text) }

// String gives a short name, "scp".
func (l Layer) String() string { return name(layerNames[:], int(l)) }

// MarshalText writes the short name.
func (l Layer) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a name that MarshalText wrote.
func (l *Layer) UnmarshalText(text []byte) error { return unmarshalName(l, layerNames[:], text) }

// policyType is what AWS calls a policy of this layer.
func (l Layer) policyType() string { return name(policyTypes[:], int(l)) }

// String gives "caller" or "resource".
func (s Side) String() string { return name(sideNames[:], int(s)) }

// MarshalText writes the name.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name that MarshalText wrote.
func (s *Side) UnmarshalText(text []byte) error { return unmarshalName(s, sideNames[:], text) }

// String gives "yes", "no" or "maybe".
func (m Match) String() string { return name(matchNames[:], int(m)) }

// MarshalText writes the name.
func (m Match) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a name that MarshalText wrote.
func (m *Match) UnmarshalText(text []byte) error { return unmarshalName(m, matchNames[:], text) }

// String gives the kind in words, "role session".
func (k PrincipalKind) String() string { return name(kindNames[:], int(k)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("#%d", i)
}

func unmarshalName[T ~uint8](to *T, names []string, text []byte) error {
	for i, n := range names {
		if n == string(text) {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("parsing %q: want one of %q", text, names)
}

// String names the document: "service control policy P (111111111111)".
func (s Source) String() string {
	text := s.Layer.policyType()
	if s.Name != "" {
		text += " " + s.Name
	}
	if s.Account != "" {
		text += " (" + string(s.Account) + ")"
	}
	return text
}

// String names the caller: its ARN, its provider, its service, or its kind.
func (p *Principal) String() string {
	switch {
	case !p.ARN.IsZero():
		return p.ARN.String()
	case !p.Provider.IsZero():
		return p.Provider.String()
	case p.ServiceName != "":
		return p.ServiceName
	}
	return p.Kind.String()
}

// where is a statement's place: "statement 2 (DenyRegions)".
func (s *StatementResult) where() string {
	if s.Source.Layer == LayerGrant {
		return s.Source.Name
	}
	text := fmt.Sprintf("statement %d", s.Index+1)
	if s.Sid != "" {
		text += " (" + s.Sid + ")"
	}
	return text
}

func place(p policy.Pos) string {
	if p.IsZero() {
		return ""
	}
	return fmt.Sprintf(" at line %d, column %d", p.Line, p.Column)
}
