package probe

import (
	"bytes"
	"fmt"
	"io"
)

// Text writes the results for people, all at once: [Lines] of every way, then the
// [Summary]. The error is w's own.
func Text(w io.Writer, results []Result) error {
	for rest := results; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Route == rest[0].Route {
			n++
		}
		if err := Lines(w, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return Summary(w, results)
}

// Lines writes the results of one way, as Config.Done is told them. The error is
// w's own.
func Lines(w io.Writer, results []Result) error {
	var b bytes.Buffer
	for i, r := range results {
		if i == 0 {
			fmt.Fprintf(&b, "%s\n", r.Route)
		}
		switch {
		case r.NotProbed != "":
			fmt.Fprintf(&b, "  not probed  %s: %s\n", r.What, r.NotProbed)
		case r.Unavailable:
			fmt.Fprintf(&b, "  no answer   %s: %s\n", r.What, r.Error)
		case r.OK:
			fmt.Fprintf(&b, "  %-10s  %s\n", r.Got, r.What)
		default:
			fmt.Fprintf(&b, "  WRONG       %s: expected %s, got %s\n", r.What, r.Expected, r.Got)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Summary writes what is wrong in full, and counts the rest. The error is w's own.
func Summary(w io.Writer, results []Result) error {
	var b bytes.Buffer
	right, wrong, silent, open := 0, 0, 0, 0
	for _, r := range results {
		switch {
		case r.NotProbed != "":
			open++
		case r.Unavailable:
			silent++
		case r.OK:
			right++
		default:
			wrong++
			fmt.Fprintf(&b, "WRONG    %s\n         %s\n         as %s: expected %s, got %s", r.Route, r.What, r.Identity, r.Expected, r.Got)
			if r.Error != "" {
				fmt.Fprintf(&b, ": %s", r.Error)
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "probed: %d as declared, %d not, %d not probed", right, wrong, open)
	if silent > 0 {
		fmt.Fprintf(&b, ", %d could not be tried, as the service failed: try again", silent)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
