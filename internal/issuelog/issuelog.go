// Package issuelog is the record of credentials that stile handed out on this
// computer: to which process, for which role, until when. No secret is in it.
//
// Start with [Append] and [Read]. The log is issued.jsonl in stile's state
// directory, one JSON value a line, and older files beside it that were moved
// away when they had grown. Nothing here removes any: a log that forgets is none.
// It is a help to honest users, whose files it is among; somebody with their
// rights can change it.
//
// It is written before the program is initialised (internal/early), so there is no
// path/filepath here.
package issuelog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Entry is one handing out of credentials.
type Entry struct {
	Time        time.Time `json:"time"`
	Address     string    `json:"address"` // as it was asked for
	Account     string    `json:"account"` // its id
	AccountName string    `json:"accountName,omitempty"`
	Role        string    `json:"role,omitempty"` // ARN, "" when not known
	Session     string    `json:"session,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
	AccessKeyID string    `json:"accessKeyId"`
	Delivery    string    `json:"delivery"`          // the command: exec, env, credential-process, …
	Source      string    `json:"source,omitempty"`  // whose credentials the way began with
	Limits      string    `json:"limits,omitempty"`  // session policies, in words
	Command     string    `json:"command,omitempty"` // the program that exec and each start; never its arguments
	Process     Process   `json:"process"`
}

// Process is who asked.
type Process struct {
	PID     int        `json:"pid"`
	UID     int        `json:"uid"`
	Dir     string     `json:"dir,omitempty"`
	Parents []Ancestor `json:"parents,omitempty"` // nearest first
}

// Ancestor is a process above the one that asked.
type Ancestor struct {
	PID  int    `json:"pid"`
	Name string `json:"name,omitempty"` // the path of its program, where the system tells
}

const (
	current = "issued.jsonl"
	// maxSize is where a file is moved away and another begun.
	maxSize = 8 << 20
	// maxLine bounds an entry, so that one write is one line.
	maxLine = 64 << 10
)

// Append adds an entry to the log in dir, which is made if it is not there. The
// entry is there as a line of its own or not at all, whoever else writes.
func Append(dir string, e Entry) error { return appendTo(dir, e, maxSize) }

func appendTo(dir string, e Entry, limit int64) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the log of issued credentials: %w", err)
	}
	if len(line) > maxLine {
		return errors.New("writing the log of issued credentials: the entry is too long")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing the log of issued credentials: %w", err)
	}
	if err := write(path.Join(dir, current), append(line, '\n'), limit); err != nil {
		return fmt.Errorf("writing the log of issued credentials: %w", err)
	}
	return nil
}

func write(path string, line []byte, limit int64) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// A disk that was full may have left half a line.
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			last[0] = '\n' // unread, it counts as a whole line
		}
	}
	if last[0] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil { // one write: O_APPEND keeps it whole
		return err
	}
	if info.Size()+int64(len(line)) > limit {
		return rotate(path, f)
	}
	return nil
}

// rotate moves the file away. Who has it open still writes into it, where it is
// found all the same. Only the holder of its lock may take its name; the lock is the
// log's own, which is open already (and not package filelock's).
func rotate(path string, f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(mine, named) {
		return nil // somebody else has moved it
	}
	return os.Rename(path, fmt.Sprintf("%s-%d-%d.jsonl", strings.TrimSuffix(path, ".jsonl"), time.Now().UnixNano(), os.Getpid()))
}

// Read gives the entries since a time, oldest first, and the number of lines
// that are none, as a full disk leaves them. There are none when nothing was
// ever handed out.
func Read(dir string, since time.Time) (entries []Entry, broken int, err error) {
	var files []string
	for range maxLooks { // a file may be moved away while we read
		before := files
		if files, err = list(dir); err != nil {
			break
		}
		if before != nil && slices.Equal(before, files) {
			break
		}
		if entries, broken, err = readAll(files, since); err != nil {
			break
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the log of issued credentials: %w", err)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Process.PID, b.Process.PID)) })
	return entries, broken, nil
}

// list lists the files of the log.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "issued") && strings.HasSuffix(e.Name(), ".jsonl") {
			files = append(files, path.Join(dir, e.Name()))
		}
	}
	return files, err
}

// maxLooks is how often files are listed until they stay the same.
const maxLooks = 5

func readAll(files []string, since time.Time) (entries []Entry, broken int, err error) {
	var seen []os.FileInfo // one file may be met under two names
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if info.ModTime().Before(since) || slices.ContainsFunc(seen, func(s os.FileInfo) bool { return os.SameFile(s, info) }) {
			continue
		}
		seen = append(seen, info)
		found, bad, err := readFile(file, since)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		entries, broken = append(entries, found...), broken+bad
	}
	return entries, broken, nil
}

const (
	// piece is how much of a file is read at once, from its end.
	piece = 256 << 10
	// late is how long after its time an entry may be written, and so how far the
	// times of a file go back and forth.
	late = time.Minute
)

func readFile(file string, since time.Time) (entries []Entry, broken int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return readBack(f, info.Size(), since)
}

// readBack reads lines from the end to where there are only older ones: most who ask
// want to know of the last minutes. Lines that are none count as far as that.
func readBack(f io.ReaderAt, size int64, since time.Time) (entries []Entry, broken int, err error) {
	var rest []byte // of the line that the piece before has the beginning of
	var pieces [][]Entry
	for end := size; end > 0; {
		begin := max(0, end-piece)
		text := make([]byte, end-begin, end-begin+int64(len(rest)))
		if _, err := f.ReadAt(text, begin); err != nil {
			return nil, 0, err
		}
		text, end = append(text, rest...), begin
		if begin > 0 {
			whole := bytes.IndexByte(text, '\n') + 1
			if whole == 0 {
				rest = text
				continue
			}
			rest, text = bytes.Clone(text[:whole]), text[whole:]
		}
		found, bad := read(text, since.Add(-late))
		broken += bad
		if len(found) == 0 && bad == 0 && len(bytes.TrimSpace(text)) > 0 {
			break // all of a piece is older
		}
		pieces = append(pieces, found)
	}
	for _, found := range slices.Backward(pieces) {
		for _, e := range found {
			if !e.Time.Before(since) {
				entries = append(entries, e)
			}
		}
	}
	return entries, broken, nil
}

// read reads one file's lines.
func read(text []byte, since time.Time) (entries []Entry, broken int) {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			broken++
			continue
		}
		if !e.Time.Before(since) {
			entries = append(entries, e)
		}
	}
	return entries, broken
}
