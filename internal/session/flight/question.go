package flight

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// holder is the process that has a question before a person, and the question.
type holder struct {
	PID      int    `json:"pid"`
	Question string `json:"question"`
	Page     string `json:"page,omitempty"` // in place of both: what those are told who wait for one
}

// work is what is done under a lock.
type work struct {
	file  *os.File // the lock's
	outer *work    // that it is part of
}

type working struct{}

// Asking tells those who wait for what is being fetched with ctx that a person has a
// question before them, at the terminal of a process, until answered is called.
func Asking(ctx context.Context, pid int, question string) (answered func()) {
	w, _ := ctx.Value(working{}).(*work)
	w.hold(&holder{PID: pid, Question: question})
	return func() { w.hold(nil) }
}

// Showing is [Asking] for a page that waits for a person, wherever it is shown: those
// who wait are told text as it is, until ended is called.
func Showing(ctx context.Context, text string) (ended func()) {
	w, _ := ctx.Value(working{}).(*work)
	w.hold(&holder{Page: text})
	return func() { w.hold(nil) }
}

// hold writes what the holder of a lock does, and of those around it.
func (w *work) hold(h *holder) {
	for ; w != nil; w = w.outer {
		last, _ := read(w.file)
		last.Holder = h
		write(w.file, last)
	}
}

type noting struct{}

// WithNote has those who wait told, by note, for whose answer: once what they wait
// for has taken two seconds. note is called from another goroutine.
func WithNote(ctx context.Context, note func(text string)) context.Context {
	return context.WithValue(ctx, noting{}, note)
}

// Note tells a line to who waits with ctx, if they have said how by [WithNote].
func Note(ctx context.Context, text string) {
	if note, ok := ctx.Value(noting{}).(func(string)); ok {
		note(text)
	}
}

const (
	unexplained = 2 * time.Second
	lookAgain   = 500 * time.Millisecond // for another question
)

// explain tells who waits for a lock for whose answer, until ended is called.
func explain(ctx context.Context, path string) (ended func()) {
	note, ok := ctx.Value(noting{}).(func(string))
	if !ok {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(unexplained)
		defer timer.Stop()
		for told := ""; ; timer.Reset(lookAgain) {
			select {
			case <-timer.C:
			case <-stop:
				return
			}
			if text := question(path); text != "" && text != told {
				told = text
				note(text)
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// question is for whose answer the holder of a lock waits, "" for nobody's.
func question(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	last, ok := read(f)
	if !ok || last.Holder == nil {
		return ""
	}
	if last.Holder.Page != "" {
		return last.Holder.Page
	}
	return Waiting(last.Holder.PID, last.Holder.Question)
}

// Waiting says for whose answer somebody waits.
func Waiting(pid int, question string) string {
	return fmt.Sprintf("waiting for an answer at the terminal of process %d, which asks: %s", pid, strings.TrimRight(question, ": "))
}
