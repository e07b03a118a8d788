package inventory

import "strings"

// unreadMark opens a text that stands in the place of a document or an ARN. No
// JSON and no ARN begins so, hence everybody who parses it fails, and nobody who
// compares it finds it equal to something that is known.
const unreadMark = "unread: "

// Unknown stands in the place of a document, or of a managed policy's ARN, that
// is there and whose text is not known: a value that Terraform knows only after
// apply. It parses as neither, so that whoever asks gets "unknown" and not "no".
func Unknown(reason string) string { return unreadMark + reason }

// WhyUnknown is the reason given to [Unknown]; ok is false for any other text.
func WhyUnknown(text string) (reason string, ok bool) { return strings.CutPrefix(text, unreadMark) }
