package observe

import (
	"fmt"

	"github.com/stile-aws/stile/internal/observe"
)

// follow tells how far the reading is, until ended is called.
func (o *options) follow(m *observe.Meter) (ended func()) {
	return o.streams.Follow(o.progress, func() string {
		p := m.Progress()
		return fmt.Sprintf("%d of %d accounts read, %d calls", p.Done, p.Accounts, p.Calls)
	})
}
