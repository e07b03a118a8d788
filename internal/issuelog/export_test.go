package issuelog

// AppendTo is Append with a limit of the test's choosing.
func AppendTo(dir string, e Entry, limit int64) error { return appendTo(dir, e, limit) }
