package client

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Protocol is the version of the messages. A broker leaves for a client of a
// later one.
const Protocol = 1

// maxMessage bounds a message; credentials with the longest session token that
// STS gives out are below 8 KiB.
const maxMessage = 64 << 10

// What a Request wants done.
const (
	DoGet    = "get"
	DoStatus = "status"
	DoStop   = "stop"
)

// Request is the first message of a connection, which has only one.
type Request struct {
	Protocol int
	Program  Program
	Do       string
	// Address and Options are for DoGet. Options are opaque here: equal bytes
	// mean the same request.
	Address string          `json:",omitempty"`
	Options json.RawMessage `json:",omitempty"`
	// Interactive says that the client can ask a person.
	Interactive bool `json:",omitempty"`
	PID         int  `json:",omitempty"` // of the client, for what others are told
	// Refused is the access key id of credentials that AWS does not accept any
	// more: they are to be forgotten.
	Refused string `json:",omitempty"`
}

// Program tells one build of stile from another.
type Program struct {
	Modified int64 // Unix nanoseconds
	Size     int64
}

// ThisProgram is the program that runs, as it is on disk now.
func ThisProgram() Program {
	path, err := os.Executable()
	if err != nil {
		return Program{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return Program{} // removed while we run
	}
	return Program{info.ModTime().UnixNano(), info.Size()}
}

// Reply is a message of the broker. One that is empty is a sign of life.
type Reply struct {
	Grant    *Grant    `json:",omitempty"`
	Refusal  *Refusal  `json:",omitempty"`
	Question *Question `json:",omitempty"`
	Status   *Status   `json:",omitempty"`
	Leaving  bool      `json:",omitempty"` // ask its successor
	Stopped  bool      `json:",omitempty"`
	// Note is for the person of a client that waits: for whose answer it does.
	Note string `json:",omitempty"`
}

func (r *Reply) done() bool {
	return r.Grant != nil || r.Refusal != nil || r.Status != nil || r.Leaving || r.Stopped
}

// About says what a session is. It holds no secret.
type About struct {
	Account string // id
	Role    string // ARN; "" where nobody knows it
	Name    string // of the role, or the session's source
	Region  string // that it says for itself, "" for none
	Caller  string // who goes there

	RegionOf string `json:",omitempty"` // what says the Region, in words; "" for the account's declaration

	AccountName string            `json:",omitempty"`
	Labels      map[string]string // the account's; nil where they are not known
	SessionName string            `json:",omitempty"`
	Chained     bool              `json:",omitempty"`
	Narrowed    bool              `json:",omitempty"` // by the session policies of the request
	Instead     string            `json:",omitempty"` // what it ends as instead, to be so, in words
	Claimed     bool              `json:",omitempty"` // Account is what a file says of a key, and not AWS
}

// Grant is credentials and what they are for. It prints without the secrets.
type Grant struct {
	About
	AccessKeyID, SecretAccessKey, SessionToken string
	AccountID, Source                          string
	Expires                                    time.Time // zero: never
}

// Format prints the access key's id only, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "credentials of %s in %s (%s)", g.Name, g.Account, g.AccessKeyID)
}

// Question is something that only a person can answer. Text says what for, and
// is complete in itself.
type Question struct {
	ID   int
	Text string
	// Secret: what is typed is not to be seen.
	Secret bool `json:",omitempty"`
	// Confirm: it is to be typed twice.
	Confirm bool `json:",omitempty"`
	// URL is to be opened in a browser; the answer is empty then.
	URL string `json:",omitempty"`
	// Code is to be compared with, or typed into, what URL shows.
	Code string `json:",omitempty"`
	// Port, of the person's computer, is where the browser brings the answer, if it
	// was chosen and may be forwarded.
	Port int `json:",omitempty"`
	// UnderWay tells those of URL's page who wait for it and have not been shown it.
	UnderWay string `json:",omitempty"`
}

// Answer is what a person said.
type Answer struct {
	ID       int
	Text     string `json:",omitempty"`
	Declined bool   `json:",omitempty"` // somebody else may be asked
	Absent   bool   `json:",omitempty"` // with Declined: since there is no person
	// Quit is no answer: the person gives up what is waited for, which is to end
	// unless somebody else wants it.
	Quit bool `json:",omitempty"`
}

// Format prints nothing of what was said.
func (a Answer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "answer %d", a.ID) }

// Status is what a broker tells of itself.
type Status struct {
	PID      int       `json:"pid"`
	Socket   string    `json:"socket"`
	Started  time.Time `json:"started"`
	Requests int       `json:"requests"`
	Waiting  int       `json:"waiting"`
	Sessions []Session `json:"sessions"`
}

// Session is one that a broker holds. Expires is nil for what does not.
type Session struct {
	Address  string     `json:"address"`
	Role     string     `json:"role,omitempty"`
	Caller   string     `json:"caller,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Asked    time.Time  `json:"asked"`
	Requests int        `json:"requests"`
}

// Write writes a message: its length in four bytes, then JSON.
func Write(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(text) > maxMessage {
		return fmt.Errorf("writing a message: %d bytes, at most %d are taken", len(text), maxMessage)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, len(text)+4), uint32(len(text))), text...))
	return err
}

// Read reads a message. Errors hold nothing of it.
func Read(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("reading a message: %d bytes, at most %d are taken", n, maxMessage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if json.Unmarshal(text, message) != nil {
		return fmt.Errorf("reading a message of %d bytes: it is not one", n)
	}
	return nil
}
