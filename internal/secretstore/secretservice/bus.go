package secretservice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/stile-aws/stile/internal/peer"
)

// sessionBus is the address of this session's bus, "" where there is none.
func sessionBus() string {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return address
	}
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(os.Getuid()))} {
		bus := filepath.Join(dir, "bus")
		if _, err := os.Stat(bus); err == nil && filepath.IsAbs(bus) {
			return "unix:path=" + dbus.EscapeBusAddressValue(bus)
		}
	}
	return ""
}

// dialBus connects to a bus of this user's, or root's. An address may be old, and
// below /tmp: whoever listens there by now would be given the key.
func dialBus(ctx context.Context, addresses string, option dbus.ConnOption) (*dbus.Conn, error) {
	if runtime.GOOS != "linux" { // there godbus proves who we are as the system wants it
		return dbus.Dial(addresses, option)
	}
	err := errors.New("there is none: DBUS_SESSION_BUS_ADDRESS is not set")
	for address := range strings.SplitSeq(addresses, ";") {
		if address == "" {
			continue
		}
		var c net.Conn
		if c, err = dialOwn(ctx, address); err == nil {
			return dbus.NewConn(c, option)
		}
	}
	return nil, err
}

func dialOwn(ctx context.Context, address string) (net.Conn, error) {
	socket, err := socketOf(address)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	uid, err := peer.Unix(c.(*net.UnixConn))
	if err == nil && uid != os.Getuid() && uid != 0 {
		err = fmt.Errorf("at %s listens a process of user %d", address, uid)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// socketOf reads an address such as unix:path=/run/user/1000/bus,guid=…, of which a
// process of this computer can be asked whose it is. Source: D-Bus Specification,
// "Server Addresses".
func socketOf(address string) (string, error) {
	kind, rest, _ := strings.Cut(address, ":")
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(field, "=")
		value, err := url.PathUnescape(value)
		switch {
		case kind != "unix" || err != nil:
		case name == "path":
			return value, nil
		case name == "abstract":
			return "@" + value, nil
		}
	}
	return "", fmt.Errorf("address %q: want unix:path= or unix:abstract=", address)
}
