package plan

import "github.com/stile-aws/stile/policy"

// Merge is doc with op's statements put in the place of those with the same
// Sid, or at the end, and op's Sids removed. Every other statement stays where
// and as it is. doc is not changed.
func Merge(doc *policy.Document, op *MergeOp) *policy.Document {
	return doc.WithoutSid(op.Remove...).Merge(op.Put...)
}
