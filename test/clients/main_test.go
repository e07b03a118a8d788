// Package clients drives a local AWS, and what stile applies to it, with
// clients nobody here wrote: the AWS CLI, boto3 and the AWS SDK for Go, each
// unmodified, through a single port and through the proxy.
//
// Start with scenario_test.go: one list of calls with what must come of them,
// made by every client through both doors. The other tests are stories of their
// own: a role that is created anew, a service control policy, the credentials
// that stile delivers, hosts that the proxy refuses.
//
// Clients are programs with an environment made from nothing. A client that is
// missing is skipped, except where CI is set: there it is a failure.
package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/internal/cli"
)

// TestMain lets the test binary be other programs too: stile itself, and a
// client made of the AWS SDK for Go. Which one, its name says.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "stile":
		os.Exit(cli.Main(os.Args[1:], cli.System()))
	case "go-client":
		os.Exit(goClient(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}
