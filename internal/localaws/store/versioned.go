package store

import (
	"encoding/json"
	"reflect"
	"slices"
	"time"
)

// Limits of what a Versioned remembers: nobody looks further back than the
// longest propagation delay that makes sense.
const (
	keepVersions = 64
	keepFor      = time.Hour
)

// Versioned is a record with its recent past, for records whose changes are
// seen late by others. The zero Versioned is a record that does not exist.
// Values that were put are not written to any more: change a record with Edit.
// Reading and writing need the World's lock.
type Versioned[T any] struct {
	versions []version[T] // oldest first
}

type version[T any] struct {
	At    time.Time `json:"at"`
	Value *T        `json:"value"` // nil: deleted
}

// NewVersioned returns a record that exists since at.
func NewVersioned[T any](at time.Time, value *T) *Versioned[T] {
	v := &Versioned[T]{}
	v.Put(at, value)
	return v
}

// Put makes value the newest version, from at on; nil deletes the record. The
// Versioned owns value from then on.
func (v *Versioned[T]) Put(at time.Time, value *T) {
	v.versions = append(v.versions, version[T]{at, value})
	drop := max(0, len(v.versions)-keepVersions)
	for drop < len(v.versions)-1 && v.versions[drop+1].At.Before(at.Add(-keepFor)) {
		drop++
	}
	v.versions = slices.Delete(v.versions, 0, drop)
}

// Edit puts a new version that is a deep copy of the newest one with change
// applied to it. It starts from the zero T when there is none.
func (v *Versioned[T]) Edit(at time.Time, change func(*T)) {
	value := new(T)
	if latest := v.Latest(); latest != nil {
		deepCopy(reflect.ValueOf(value).Elem(), reflect.ValueOf(latest).Elem())
	}
	change(value)
	v.Put(at, value)
}

// Latest is the newest version, nil when the record does not exist (any more).
func (v *Versioned[T]) Latest() *T {
	if v == nil || len(v.versions) == 0 {
		return nil
	}
	return v.versions[len(v.versions)-1].Value
}

// At is the version that others saw at t, nil when they saw none.
func (v *Versioned[T]) At(t time.Time) *T {
	if v == nil {
		return nil
	}
	for i := len(v.versions) - 1; i >= 0; i-- {
		if !v.versions[i].At.After(t) {
			return v.versions[i].Value
		}
	}
	return nil
}

// gone reports whether the record was deleted before t.
func (v *Versioned[T]) gone(t time.Time) bool {
	return v == nil || v.Latest() == nil && (len(v.versions) == 0 || v.versions[len(v.versions)-1].At.Before(t))
}

// MarshalJSON writes all remembered versions.
func (v *Versioned[T]) MarshalJSON() ([]byte, error) { return json.Marshal(v.versions) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Versioned[T]) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &v.versions) }

// Sweep forgets the records of m that were deleted long ago.
func Sweep[K comparable, T any](m map[K]*Versioned[T], now time.Time) {
	for key, v := range m {
		if v.gone(now.Add(-keepFor)) {
			delete(m, key)
		}
	}
}

// deepCopy copies src to dst with everything it holds. Records are plain data:
// no channels, functions, interfaces or cycles.
func deepCopy(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			deepCopy(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				deepCopy(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		copyMap(dst, src)
	case reflect.Struct:
		dst.Set(src) // unexported fields, as those of time.Time
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				deepCopy(dst.Field(i), src.Field(i))
			}
		}
	default:
		dst.Set(src)
	}
}

func copyMap(dst, src reflect.Value) {
	if src.IsNil() {
		return
	}
	dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
	for iter := src.MapRange(); iter.Next(); {
		value := reflect.New(src.Type().Elem()).Elem()
		deepCopy(value, iter.Value())
		dst.SetMapIndex(iter.Key(), value)
	}
}
