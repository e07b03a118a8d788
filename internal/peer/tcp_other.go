//go:build !linux

package peer

import "net/netip"

// KnowsTCP says whether [TCP] can tell, as a rule.
const KnowsTCP = false

func owner(_, _ netip.AddrPort) (uid int, err error) { return 0, ErrUnknown }
