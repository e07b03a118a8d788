// Package recent remembers which sessions a person used when, so that what is used
// often and of late can be offered first. It keeps addresses and times, nothing
// secret.
//
// Start with [Log.Add], and [Log.Weights] or [Log.Latest]. The file is a help and no more: what in
// it cannot be read is passed over, and without it everything weighs the same.
package recent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/flight"
)

// Log is a file of uses in a directory of this user's, made when it is first
// written to.
type Log struct {
	Dir string
}

const (
	name    = "recent"
	maxSize = 64 << 10
	keep    = maxSize / 2 // bytes, when the file has become too long
	// halfLife is the age at which a use counts half.
	halfLife = 7 * 24 * time.Hour
)

type use struct {
	at      time.Time
	address string
}

// Add remembers a use. Of several processes that add none loses another's.
func (l *Log) Add(ctx context.Context, address string, at time.Time) error {
	lock, err := flight.Acquire(ctx, l.Dir, name)
	if err != nil {
		return fmt.Errorf("remembering the use of %s: %w", address, err)
	}
	defer lock.Release()
	if err := l.add(use{at, address}); err != nil {
		return fmt.Errorf("remembering the use of %s: %w", address, err)
	}
	return nil
}

func (l *Log) path() string { return filepath.Join(l.Dir, name) }

func (l *Log) add(u use) (err error) {
	f, err := os.OpenFile(l.path(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	line := u.line()
	if size := info.Size(); size > 0 {
		last := []byte{0}
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' { // somebody was killed while he wrote
			line = append([]byte("\n"), line...)
		}
	}
	if _, err := f.Write(line); err != nil || info.Size() < maxSize {
		return err
	}
	return l.shorten()
}

// shorten keeps the latest uses.
func (l *Log) shorten() error {
	uses, err := l.read()
	if err != nil {
		return err
	}
	size, first := 0, len(uses)
	for first > 0 && size < keep {
		first--
		size += len(uses[first].line())
	}
	var out []byte
	for _, u := range uses[first:] {
		out = append(out, u.line()...)
	}
	return atomicfile.Write(l.path(), out)
}

func (u *use) line() []byte {
	return fmt.Appendf(nil, "%d %q\n", u.at.UnixMilli(), u.address)
}

// read reads what can be read; a file that has grown out of bounds, its end.
func (l *Log) read() ([]use, error) {
	f, err := os.Open(l.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 2*maxSize {
		if _, err := f.Seek(-2*maxSize, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*maxSize))
	if err != nil {
		return nil, err
	}
	var out []use
	for line := range bytes.Lines(text) {
		when, quoted, ok := bytes.Cut(bytes.TrimRight(line, "\n"), []byte(" "))
		at, err := strconv.ParseInt(string(when), 10, 64)
		if !ok || err != nil {
			continue
		}
		if address, err := strconv.Unquote(string(quoted)); err == nil && address != "" {
			out = append(out, use{time.UnixMilli(at), address})
		}
	}
	return out, nil
}

// Weights tells how much each address was used, of late above all: a use counts
// one, and half as much after each week. A time to come, by a clock that was put
// back, counts as now.
func (l *Log) Weights(now time.Time) (map[string]float64, error) {
	uses, err := l.read()
	if err != nil {
		return nil, fmt.Errorf("reading what was used of late: %w", err)
	}
	out := map[string]float64{}
	for _, u := range uses {
		age := max(0, now.Sub(u.at))
		out[u.address] += math.Exp2(-float64(age) / float64(halfLife))
	}
	return out, nil
}

// Latest lists the addresses that are remembered, each once, the one used last first.
func (l *Log) Latest() ([]string, error) {
	uses, err := l.read()
	if err != nil {
		return nil, fmt.Errorf("reading what was used of late: %w", err)
	}
	slices.SortStableFunc(uses, func(a, b use) int { return a.at.Compare(b.at) })
	var out []string
	seen := map[string]bool{}
	for _, u := range slices.Backward(uses) {
		if !seen[u.address] {
			seen[u.address] = true
			out = append(out, u.address)
		}
	}
	return out, nil
}
