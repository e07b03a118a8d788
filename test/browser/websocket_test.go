package browser_test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// websocket is the wire of a browser that was started with --remote-debugging-port:
// of RFC 6455 what Chromium's end of it needs.
type websocket struct {
	conn net.Conn
	from *bufio.Reader
}

// dial opens the address that Chromium says it listens at.
func dial(address string) (*websocket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		u.Path, u.Host, base64.StdEncoding.EncodeToString(nonce))
	w := &websocket{conn, bufio.NewReader(conn)}
	if err == nil {
		err = w.upgraded()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dialing %s: %w", address, err)
	}
	return w, nil
}

func (w *websocket) upgraded() error {
	resp, err := http.ReadResponse(w.from, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

const (
	final  = 0x80
	text   = 0x1
	closes = 0x8
	masked = 0x80
)

// Send sends one frame, with a mask of zeros: what is sent goes to this computer.
func (w *websocket) Send(message []byte) error {
	frame := []byte{final | text, masked | 127}
	frame = binary.BigEndian.AppendUint64(frame, uint64(len(message)))
	frame = append(frame, 0, 0, 0, 0)
	_, err := w.conn.Write(append(frame, message...))
	return err
}

// Receive receives a message, of however many frames.
func (w *websocket) Receive() ([]byte, error) {
	var message []byte
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(w.from, head); err != nil {
			return nil, err
		}
		size := uint64(head[1])
		if extended := map[byte]int{126: 2, 127: 8}[head[1]]; extended > 0 {
			long := make([]byte, 8)
			if _, err := io.ReadFull(w.from, long[8-extended:]); err != nil {
				return nil, err
			}
			size = binary.BigEndian.Uint64(long)
		}
		if head[0]&0xf == closes || size > 64<<20 {
			return nil, io.EOF
		}
		part := make([]byte, size)
		if _, err := io.ReadFull(w.from, part); err != nil {
			return nil, err
		}
		message = append(message, part...)
		if head[0]&final != 0 {
			return message, nil
		}
	}
}
