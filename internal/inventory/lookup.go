package inventory

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// lookupNames are the states as text and as JSON have them.
var lookupNames = [...]string{NotAsked: "notAsked", Exists: "exists", Absent: "absent", Unread: "unread"}

// String names the state as JSON does: "notAsked", "exists", "absent", "unread".
func (l Lookup) String() string {
	if int(l) >= len(lookupNames) {
		return "Lookup(" + strconv.Itoa(int(l)) + ")"
	}
	return lookupNames[l]
}

// MarshalText writes the state's name.
func (l Lookup) MarshalText() ([]byte, error) {
	if int(l) >= len(lookupNames) {
		return nil, fmt.Errorf("writing lookup state %d: there is none of that number", l)
	}
	return []byte(lookupNames[l]), nil
}

// UnmarshalJSON reads a state's name, or its number, as inventories written by
// hand have it.
func (l *Lookup) UnmarshalJSON(src []byte) error {
	text := string(src)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	for i, name := range lookupNames {
		if text == name || text == strconv.Itoa(i) {
			*l = Lookup(i)
			return nil
		}
	}
	return &json.UnmarshalTypeError{Value: string(src), Type: reflect.TypeFor[Lookup]()}
}

// known reports whether l says what is there.
func (l Lookup) known() bool { return l == Exists || l == Absent }

// later is the state after a second look: one that says nothing changes
// nothing, and one that failed does not undo what is known.
func (l Lookup) later(second Lookup) Lookup {
	if second == NotAsked || second == Unread && l.known() {
		return l
	}
	return second
}
