// Package attribute does with DynamoDB's attribute values what the service
// does: convert them from and to the SDK's types, check them, compare them,
// measure them, calculate with numbers of 38 digits.
//
// Start with [FromSDK] and [ToSDK]. Values are store.Value and are never changed
// in place. The package knows neither tables nor expressions.
package attribute

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// The types of values.
const (
	String    = "S"
	Number    = "N"
	Binary    = "B"
	Bool      = "BOOL"
	Null      = "NULL"
	StringSet = "SS"
	NumberSet = "NS"
	BinarySet = "BS"
	List      = "L"
	Map       = "M"
)

// MaxItem is the largest size of an item in bytes ("Service, account, and table
// quotas", DynamoDB developer guide).
const MaxItem = 400 << 10

// Equal reports whether two values are the same. Sets are the same in any order.
func Equal(a, b store.Value) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case Bool:
		return a.Bool == b.Bool
	case Binary:
		return bytes.Equal(a.Bytes, b.Bytes)
	case StringSet, NumberSet:
		return slices.Equal(a.Texts, b.Texts)
	case BinarySet:
		return slices.EqualFunc(a.Blobs, b.Blobs, bytes.Equal)
	case List:
		return slices.EqualFunc(a.List, b.List, Equal)
	case Map:
		return maps.EqualFunc(a.Map, b.Map, Equal)
	}
	return a.Text == b.Text
}

// Compare orders two strings, numbers or binaries; ok is false for values that
// have no order.
func Compare(a, b store.Value) (order int, ok bool) {
	if a.Type != b.Type {
		return 0, false
	}
	switch a.Type {
	case String:
		return cmp.Compare(a.Text, b.Text), true
	case Number:
		x, errX := parse(a.Text)
		y, errY := parse(b.Text)
		return x.compare(y), errX == nil && errY == nil
	case Binary:
		return bytes.Compare(a.Bytes, b.Bytes), true
	}
	return 0, false
}

// Key is the canonical text of a key value; equal values have equal texts.
func Key(v store.Value) string {
	if v.Type == Binary {
		return base64.StdEncoding.EncodeToString(v.Bytes)
	}
	return v.Text
}

// Length is what the function size gives; ok is false for values without one.
func Length(v store.Value) (n int, ok bool) {
	switch v.Type {
	case String:
		return utf8.RuneCountInString(v.Text), true
	case Binary:
		return len(v.Bytes), true
	case StringSet, NumberSet:
		return len(v.Texts), true
	case BinarySet:
		return len(v.Blobs), true
	case List:
		return len(v.List), true
	case Map:
		return len(v.Map), true
	}
	return 0, false
}

// Size is the size of a value for quotas and capacity ("DynamoDB item sizes and
// formats").
func Size(v store.Value) int {
	const overhead, element = 3, 1
	n := 0
	switch v.Type {
	case String:
		return len(v.Text)
	case Number:
		return numberSize(v.Text)
	case Binary:
		return len(v.Bytes)
	case Bool, Null:
		return 1
	case StringSet:
		for _, s := range v.Texts {
			n += len(s)
		}
	case NumberSet:
		for _, s := range v.Texts {
			n += numberSize(s)
		}
	case BinarySet:
		for _, b := range v.Blobs {
			n += len(b)
		}
	case List:
		n = overhead
		for _, e := range v.List {
			n += element + Size(e)
		}
	case Map:
		n = overhead
		for name, e := range v.Map {
			n += element + len(name) + Size(e)
		}
	}
	return n
}

// numberSize: "approximately (length of attribute name) + (1 byte per two
// significant digits) + (1 byte)".
func numberSize(text string) int {
	d, err := parse(text)
	if err != nil {
		return len(text)
	}
	return (len(d.digits)+1)/2 + 1
}

// ItemSize is the size of an item with its attributes' names.
func ItemSize(item store.Item) int {
	n := 0
	for name, v := range item {
		n += len(name) + Size(v)
	}
	return n
}

// Contains reports whether a string has a substring, or a set or list an element.
func Contains(v, wanted store.Value) bool {
	switch {
	case v.Type == List:
		return slices.ContainsFunc(v.List, func(e store.Value) bool { return Equal(e, wanted) })
	case v.Type == String && wanted.Type == String:
		return bytes.Contains([]byte(v.Text), []byte(wanted.Text))
	case v.Type == Binary && wanted.Type == Binary:
		return bytes.Contains(v.Bytes, wanted.Bytes)
	case v.Type == StringSet && wanted.Type == String, v.Type == NumberSet && wanted.Type == Number:
		return slices.Contains(v.Texts, wanted.Text)
	case v.Type == BinarySet && wanted.Type == Binary:
		return slices.ContainsFunc(v.Blobs, func(b []byte) bool { return bytes.Equal(b, wanted.Bytes) })
	}
	return false
}

// HasPrefix reports whether a string or binary begins with another.
func HasPrefix(v, prefix store.Value) bool {
	switch {
	case v.Type == String && prefix.Type == String:
		return bytes.HasPrefix([]byte(v.Text), []byte(prefix.Text))
	case v.Type == Binary && prefix.Type == Binary:
		return bytes.HasPrefix(v.Bytes, prefix.Bytes)
	}
	return false
}

// IsSet reports whether v is a set.
func IsSet(v store.Value) bool {
	return v.Type == StringSet || v.Type == NumberSet || v.Type == BinarySet
}

// Union adds the elements of b to the set a, which is of the same type.
func Union(a, b store.Value) store.Value {
	out := store.Value{Type: a.Type}
	out.Texts = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.Texts, b.Texts))))
	blobs := slices.SortedFunc(slices.Values(slices.Concat(a.Blobs, b.Blobs)), bytes.Compare)
	out.Blobs = slices.CompactFunc(blobs, bytes.Equal)
	return out
}

// Difference takes the elements of b from the set a, which is of the same type.
// ok is false when nothing is left, for there are no empty sets.
func Difference(a, b store.Value) (out store.Value, ok bool) {
	out.Type = a.Type
	out.Texts = slices.DeleteFunc(slices.Clone(a.Texts), func(s string) bool { return slices.Contains(b.Texts, s) })
	out.Blobs = slices.DeleteFunc(slices.Clone(a.Blobs), func(x []byte) bool {
		return slices.ContainsFunc(b.Blobs, func(y []byte) bool { return bytes.Equal(x, y) })
	})
	return out, len(out.Texts)+len(out.Blobs) > 0
}

// Problem is a client's mistake, in the words DynamoDB answers with.
type Problem string

// Error is the message for the client.
func (p Problem) Error() string { return string(p) }

// Problemf formats a Problem.
func Problemf(format string, args ...any) Problem { return Problem(fmt.Sprintf(format, args...)) }

// ErrType is the error of calculations with something that is no number.
const ErrType Problem = "An operand in the update expression has an incorrect data type"

// Sum adds two numbers, or subtracts the second from the first.
func Sum(a, b store.Value, subtract bool) (store.Value, error) {
	if a.Type != Number || b.Type != Number {
		return store.Value{}, ErrType
	}
	x, err := parse(a.Text)
	if err != nil {
		return store.Value{}, err
	}
	y, err := parse(b.Text)
	if err != nil {
		return store.Value{}, err
	}
	sum, err := x.add(y, subtract)
	return store.Value{Type: Number, Text: sum.String()}, err
}
