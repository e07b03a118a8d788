// Package scene stands in for the *testing.T that a runnable example has not, so
// that examples can use test kits:
//
//	t := scene.New()
//	defer t.End()
//	org := stiletest.New(t, "tooling", "orders")
//
// It is for examples only: what fails, panics.
package scene

import (
	"context"
	"fmt"
	"testing"
)

// Scene is one example's testing.TB. Only what test kits call is there.
type Scene struct {
	testing.TB
	cleanups []func()
}

// New begins a scene. End it.
func New() *Scene { return &Scene{} }

// End runs the cleanups, the last one first.
func (s *Scene) End() {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
}

// Helper does nothing.
func (s *Scene) Helper() {}

// Cleanup adds a function for End to run.
func (s *Scene) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// Context does not end.
func (s *Scene) Context() context.Context { return context.Background() }

// Logf drops what a test would log.
func (s *Scene) Logf(string, ...any) {}

// Fatal panics.
func (s *Scene) Fatal(a ...any) { panic(fmt.Sprint(a...)) }

// Error panics.
func (s *Scene) Error(a ...any) { panic(fmt.Sprint(a...)) }

// Fatalf panics.
func (s *Scene) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// Errorf panics.
func (s *Scene) Errorf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
