package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// resource is a resource policy as it stands.
type resource struct {
	account arn.AccountID
	region  string
	kind    compile.TargetKind
	target  string // ARN
	doc     *policy.Document
	read    string
}

func sidKind(k compile.TargetKind) ledger.Kind {
	if k == compile.KeyPolicy {
		return ledger.KeySid
	}
	return ledger.SecretSid
}

// resource reads the policy of a secret or key from the inventory. ok is false
// when it does not exist or could not be read; missing then tells which.
func (m *maker) resource(account arn.AccountID, kind compile.TargetKind, target string) (r resource, missing, ok bool) {
	text, state := kind.PolicyOf(m.account(account), target)
	if state != inventory.Exists {
		return resource{}, state == inventory.Absent, false
	}
	parsed, err := arn.Parse(target)
	if err != nil {
		return resource{}, true, false
	}
	r = resource{account: account, region: parsed.Region, kind: kind, target: target, read: m.read(account, string(kind), target, text, state), doc: &policy.Document{Version: policy.Version2012}}
	if text != "" {
		if r.doc = m.parse(m.name(account)+": policy of "+target, text); r.doc == nil {
			return resource{}, false, false
		}
	}
	return r, false, true
}

func (m *maker) statement(w compile.Statement) {
	r, _, ok := m.resource(w.Account, w.Kind, w.Target)
	if !ok {
		m.notRead(w.Account, string(w.Kind)+" "+w.Target)
		return
	}
	sid := w.Statement.Sid
	entry := ledger.Entry{Account: w.Account, Region: r.region, Kind: sidKind(w.Kind), ID: ledger.StatementID(w.Target, sid), Hash: ledger.HashStatement(w.Statement)}
	if there, ok := r.doc.FindSid(sid); ok {
		hash := ledger.HashStatement(*there)
		if hash == entry.Hash {
			m.own(entry)
			return
		}
		if !m.before.Find(w.Account, entry.Kind, entry.ID).Wrote(hash) && !nobodys(there) {
			m.fail(CodeNotOurs, "somebody changed it: remove that statement, or restore it, and run again",
				"%s: statement %s in the policy of %s is not as this scope wrote it", m.name(w.Account), sid, w.Target)
			return
		}
	}
	step := m.merge(r, w.For)
	step.Op.Merge.Put = append(step.Op.Merge.Put, w.Statement)
	step.Writes = append(step.Writes, entry)
	m.own(entry)
}

// nobodys reports whether a statement names deleted principals alone. AWS puts
// the unique id in the place of the ARN when a role or user is deleted, and one
// made again under the name has another id (IAM guide
// reference_policies_elements_principal), so such a statement gives nobody
// anything; under our Sid it is what is left of ours.
func nobodys(s *policy.Statement) bool {
	return s.Principal != nil && len(s.Principal.Entries) > 0 && !slices.ContainsFunc(s.Principal.Entries, func(e policy.PrincipalEntry) bool {
		return !arn.IsUniqueID(e.Value.Value)
	})
}

// merge is the one step that changes a resource's policy.
func (m *maker) merge(r resource, why []string) *Step {
	if m.merges == nil {
		m.merges = map[string]*Step{}
	}
	s := m.merges[r.read]
	if s == nil {
		s = &Step{ID: r.read, Verb: Update, Account: r.account, Region: r.region, Read: r.read, Op: Op{Merge: &MergeOp{Kind: r.kind, Target: r.target}}}
		s.before = r.doc
		m.merges[r.read] = s
	}
	s.Why = union(s.Why, why)
	return s
}

// mergeStatements turns what was gathered for each resource into steps.
func (m *maker) mergeStatements() {
	for _, key := range sortedKeys(m.merges) {
		s := m.merges[key]
		if len(s.Op.Merge.Put) == 0 && len(s.Op.Merge.Remove) == 0 {
			continue
		}
		s.Summary = mergeLine(s)
		m.steps = append(m.steps, *s)
	}
	m.merges = nil
}

func mergeLine(s *Step) string {
	var parts []string
	if n := len(s.Op.Merge.Put); n > 0 {
		parts = append(parts, fmt.Sprintf("%d statement(s) of ours put", n))
	}
	if n := len(s.Op.Merge.Remove); n > 0 {
		parts = append(parts, fmt.Sprintf("%d statement(s) of ours removed", n))
	}
	return fmt.Sprintf("%s %s: %s, %d of others kept", s.Op.Merge.Kind, shortARN(s.Op.Merge.Target), strings.Join(parts, ", "), len(s.before.WithoutSid(ourSids(s.Op.Merge)...).Statements))
}

func ourSids(op *MergeOp) []string {
	sids := slices.Clone(op.Remove)
	for _, s := range op.Put {
		sids = append(sids, s.Sid)
	}
	return sids
}

func shortARN(s string) string {
	a, err := arn.Parse(s)
	if err != nil {
		return s
	}
	return a.Name()
}
