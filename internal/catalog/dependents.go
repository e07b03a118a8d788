package catalog

// dependentActions are the permissions a call needs besides its own.
func dependentActions(string) []string { return nil }
