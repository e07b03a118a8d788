package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// stateFormat is the format of state files; a file of another one is refused.
const stateFormat = 1

// sessionKeySize is the size of the key that seals session tokens (AES-256).
const sessionKeySize = 32

// saveAfter is how long changes are gathered before they are written.
const saveAfter = 200 * time.Millisecond

func (w *World) load(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	var state State
	if err := json.Unmarshal(data, &state); err != nil {
		return unreadable(file, err.Error())
	}
	if state.Format != stateFormat {
		return unreadable(file, fmt.Sprintf("its format is %d, this program reads %d", state.Format, stateFormat))
	}
	if len(state.SessionKey) != sessionKeySize {
		return unreadable(file, fmt.Sprintf("its session key has %d bytes, want %d", len(state.SessionKey), sessionKeySize))
	}
	for id, account := range state.Accounts {
		if account == nil {
			return unreadable(file, fmt.Sprintf("its account %s is empty", id))
		}
	}
	w.State = state
	return nil
}

// unreadable is the error for a file that is cut off or is no state. The file is
// left as it is.
func unreadable(file, why string) error {
	return fmt.Errorf("reading state %s: it is damaged, or no state of a local AWS (%s): move it away to begin anew, or restore a copy", file, why)
}

// Dump returns the state as JSON, secrets included. The caller holds no lock.
func (w *World) Dump() ([]byte, error) {
	w.RLock()
	defer w.RUnlock()
	w.usedMu.RLock()
	defer w.usedMu.RUnlock()
	return json.Marshal(&w.State)
}

// save writes the state so that a reader sees the old file or the new one.
func (w *World) save(file string) error {
	data, err := w.Dump()
	if err != nil {
		return fmt.Errorf("encoding state: %w", err)
	}
	if err := WriteFile(file, data); err != nil {
		return fmt.Errorf("saving state: %w", err)
	}
	return nil
}

// WriteFile writes a file of mode 0600 so that a reader, or a crash, sees the old
// content or the new one.
func WriteFile(file string, data []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if _, err = temp.Write(data); err != nil {
		return err
	}
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

// saver writes the state some time after it changed, on a goroutine of its own.
type saver struct {
	world  *World
	file   string
	lock   *os.File // closed after the last save
	logger *slog.Logger
	dirty  chan struct{}
	stop   chan struct{}
	done   chan error
	once   sync.Once
	err    error // of the last save, after once
}

func startSaver(w *World, file string, lock *os.File, logger *slog.Logger) *saver {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &saver{world: w, file: file, lock: lock, logger: logger, dirty: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan error, 1)}
	go s.run()
	return s
}

func (s *saver) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

func (s *saver) run() {
	for {
		select {
		case <-s.stop:
			s.done <- s.world.save(s.file)
			return
		case <-s.dirty:
		}
		select {
		case <-s.stop:
			s.done <- s.world.save(s.file)
			return
		case <-time.After(saveAfter):
		}
		if err := s.world.save(s.file); err != nil {
			s.logger.Error("saving state", "file", s.file, "err", err)
		}
	}
}

func (s *saver) close() error {
	s.once.Do(func() {
		close(s.stop)
		s.err = errors.Join(<-s.done, s.lock.Close())
	})
	return s.err
}
