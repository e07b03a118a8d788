package sessions

import (
	"context"

	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// state tells in a few words whether a source's credentials can be had, or what is
// missing.
func state(ctx context.Context, d *desk.Desk, src *session.Source, shared *session.Shared) string {
	if problem := desk.Missing(src, shared); problem != "" {
		return problem
	}
	if ready, _ := d.Ready(ctx, src); !ready {
		return "stile login " + src.Name
	}
	return "ready"
}
