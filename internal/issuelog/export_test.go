package issuelog

import (
	"io"
	"time"
)

// AppendTo is Append with a limit of the test's choosing.
func AppendTo(dir string, e Entry, limit int64) error { return appendTo(dir, e, limit) }

// ReadBack is how a file of the log is read.
func ReadBack(f io.ReaderAt, size int64, since time.Time) ([]Entry, int, error) {
	return readBack(f, size, since)
}
