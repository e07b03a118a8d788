package probe

import (
	"bytes"
	"fmt"
	"io"
)

// Text writes the results for people: what is wrong first, then what is as it
// should be, then what was not probed and why. The error is w's own.
func Text(w io.Writer, results []Result) error {
	var b bytes.Buffer
	wrong, right, open := split(results)
	for _, r := range wrong {
		fmt.Fprintf(&b, "WRONG    %s\n         %s\n         as %s: expected %s, got %s", r.Route, r.What, r.Identity, r.Expected, r.Got)
		if r.Error != "" {
			fmt.Fprintf(&b, ": %s", r.Error)
		}
		b.WriteByte('\n')
	}
	route := ""
	for _, r := range append(right, open...) {
		if r.Route != route {
			fmt.Fprintf(&b, "%s\n", r.Route)
			route = r.Route
		}
		if r.NotProbed != "" {
			fmt.Fprintf(&b, "  not probed  %s: %s\n", r.What, r.NotProbed)
			continue
		}
		fmt.Fprintf(&b, "  %-10s  %s\n", r.Got, r.What)
	}
	fmt.Fprintf(&b, "probed: %d as declared, %d not, %d not probed\n", len(right), len(wrong), len(open))
	_, err := w.Write(b.Bytes())
	return err
}

func split(results []Result) (wrong, right, open []Result) {
	for _, r := range results {
		switch {
		case r.NotProbed != "":
			open = append(open, r)
		case r.OK:
			right = append(right, r)
		default:
			wrong = append(wrong, r)
		}
	}
	return wrong, right, open
}
