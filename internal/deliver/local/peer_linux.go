package local

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

// fromUser looks the other end of a loopback connection up in the kernel's
// table of sockets, which tells whose it is. Without such a table (a sandbox
// without /proc) the token has to do.
func fromUser(uid int, remote, local netip.AddrPort) bool {
	if !remote.Addr().IsLoopback() || !local.Addr().IsLoopback() {
		return false
	}
	// A client may have an IPv6 socket that is connected to an IPv4 address.
	for _, table := range []struct {
		file   string
		mapped bool
	}{{"/proc/self/net/tcp", false}, {"/proc/self/net/tcp6", true}} {
		owner, err := ownerOf(table.file, kernelAddr(remote, table.mapped), kernelAddr(local, table.mapped))
		switch {
		case err == nil:
			return owner == uid
		case errors.Is(err, errNoSocket):
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
			if !table.mapped {
				return true
			}
		default:
			return false
		}
	}
	return false
}

var errNoSocket = errors.New("no such socket")

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
	return 0, errNoSocket
}

// kernelAddr writes an IPv4 address as the kernel does: words of four bytes in
// the processor's own order, in hexadecimal.
func kernelAddr(a netip.AddrPort, mapped bool) string {
	ip := a.Addr().As4()
	word := fmt.Sprintf("%08X", binary.NativeEndian.Uint32(ip[:]))
	if mapped {
		word = fmt.Sprintf("%016X%08X", 0, binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff})) + word
	}
	return fmt.Sprintf("%s:%04X", word, a.Port())
}
