// Package devtools is the wire of the Chrome DevTools Protocol, by which programs
// steer a browser of Chromium's family.
//
// Start with [New] over a [Pipe]; [Conn.Send] tells the browser something and
// [Conn.Next] is what it says. Commands, events and their parameters are the
// protocol's own and left to the caller, who thus depends on the few fields that it
// reads, and on no generated copy of a protocol that changes with each browser.
//
// Source: https://chromedevtools.github.io/devtools-protocol/, and
// --remote-debugging-pipe in Chromium's content/browser/devtools.
package devtools

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrClosed means that the browser is there no more.
var ErrClosed = errors.New("the browser was closed")

// ErrForeign means that what is at the other end speaks another protocol.
var ErrForeign = errors.New("the program does not speak the DevTools protocol of Chromium's browsers")

// Wire carries messages, whole.
type Wire interface {
	Send(message []byte) error
	Receive() ([]byte, error)
}

// Message is an event, which has a Method, or the answer to the command with the ID.
type Message struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"` // of a target, "" for the browser's own
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *Refusal        `json:"error"`
}

// Refusal is a browser's answer to a command that it did not take.
type Refusal struct {
	Message string `json:"message"`
}

// Error is what the browser said.
func (r *Refusal) Error() string { return r.Message }

// Conn is a conversation with a browser. Send and Next may be called at the same
// time, each by one goroutine.
type Conn struct {
	wire Wire
	last int
}

// New begins a conversation.
func New(wire Wire) *Conn { return &Conn{wire: wire} }

type command struct {
	ID      int    `json:"id"`
	Session string `json:"sessionId,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// Send sends a command to a session and gives its id. It does not wait for the answer.
func (c *Conn) Send(session, method string, params any) (id int, err error) {
	c.last++
	text, err := json.Marshal(command{c.last, session, method, params})
	if err != nil {
		return 0, fmt.Errorf("writing %s: %w", method, err)
	}
	if err := c.wire.Send(text); err != nil {
		return 0, ErrClosed
	}
	return c.last, nil
}

// Next waits for what the browser says next: ErrClosed when nothing more will come.
func (c *Conn) Next() (*Message, error) {
	text, err := c.wire.Receive()
	if err != nil {
		return nil, ErrClosed
	}
	m := &Message{}
	if json.Unmarshal(text, m) != nil {
		return nil, ErrForeign
	}
	return m, nil
}

// Pipe is the wire of a browser that was started with --remote-debugging-pipe: to is
// its file descriptor 3, from its 4.
func Pipe(to io.Writer, from io.Reader) Wire { return &pipe{to, bufio.NewReader(from)} }

type pipe struct {
	to   io.Writer
	from *bufio.Reader
}

// Send ends a message with the NUL that no JSON has.
func (p *pipe) Send(message []byte) error {
	_, err := p.to.Write(append(message, 0))
	return err
}

// maxMessage bounds what a browser says at once. It says a post's body whole.
const maxMessage = 16 << 20

func (p *pipe) Receive() ([]byte, error) {
	var whole []byte
	for {
		part, err := p.from.ReadSlice(0)
		whole = append(whole, part...)
		switch {
		case len(whole) > maxMessage:
			return nil, fmt.Errorf("reading from the browser: it said more than %d bytes", maxMessage)
		case err == nil:
			return whole[:len(whole)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
