// Package keyringtest is a D-Bus session of its own for a test, with GNOME Keyring
// on it, or with a keyring that does as the test says.
//
// Start with [New]; then [Session.Unlock] has GNOME Keyring run with an open login
// collection, and [Play] has a keyring played. Without either the bus starts GNOME
// Keyring at the first call, as on a machine where nobody has logged in at a
// desktop: without collections, or with those of before, locked. There is no
// display, so a prompt can be shown to nobody.
//
// All processes end with the test, and with the test's process however that ends.
package keyringtest
