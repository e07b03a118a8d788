package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// KnowsTCP says whether [TCP] can tell, as a rule.
const KnowsTCP = true

// owner looks the other end of a connection up in the kernel's table of sockets,
// which tells whose it is. A sandbox without /proc has none.
func owner(remote, local netip.AddrPort) (uid int, err error) {
	// A client may have an IPv6 socket that is connected to an IPv4 address.
	if remote.Addr().Is4() && local.Addr().Is4() {
		uid, err = ownerOf("/proc/self/net/tcp", kernelAddr4(remote), kernelAddr4(local))
		if !errors.Is(err, ErrNone) {
			return uid, unknown(err)
		}
	}
	uid, err = ownerOf("/proc/self/net/tcp6", kernelAddr6(remote), kernelAddr6(local))
	if remote.Addr().Is4() && errors.Is(unknown(err), ErrUnknown) {
		return 0, ErrNone // a kernel without IPv6
	}
	return uid, unknown(err)
}

func unknown(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return ErrUnknown
	}
	return err
}

// ownerOf finds the user id of the socket with these ends. Its columns: number,
// local and remote address, state, queues, timer, retransmits, uid, timeout,
// inode. Source: proc(5), /proc/net/tcp. A socket without inode belongs to no
// process any more, and its uid is shown as 0.
func ownerOf(file, local, remote string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		col := strings.Fields(lines.Text())
		if len(col) < 10 || col[1] != local || col[2] != remote || col[9] == "0" {
			continue
		}
		return strconv.Atoi(col[7])
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, ErrNone
}

// kernelAddr4 and kernelAddr6 write an address as the kernel does: words of four
// bytes in the processor's own order, in hexadecimal.
func kernelAddr4(a netip.AddrPort) string {
	ip := a.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}

func kernelAddr6(a netip.AddrPort) string {
	ip := a.Addr().As16() // an IPv4 address is mapped
	var words strings.Builder
	for i := 0; i < len(ip); i += 4 {
		fmt.Fprintf(&words, "%08X", binary.NativeEndian.Uint32(ip[i:]))
	}
	return fmt.Sprintf("%s:%04X", words.String(), a.Port())
}
