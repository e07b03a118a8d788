// Package machine is what tests need of the machine they run on: programs that nobody
// here wrote, such as the AWS CLI, shells and browsers.
//
// Tests that need one skip where it is missing, so that they pass on any developer's
// machine, and fail in CI, where .ci/run installs it: a test that is skipped there is
// run by nobody. Start with [Needs].
package machine

import (
	"os"
	"testing"
)

// Needs goes on where err, of looking for what, is nil. Else it skips the test, or
// fails it where CI is set.
func Needs(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed: %v; .ci/run installs it", what, err)
	default:
		t.Skipf("%s is not installed: %v", what, err)
	}
}
