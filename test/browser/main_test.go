// Package browser has people's pages seen by people's browser: Debian's Chromium,
// steered by the DevTools protocol, beside stile and a local AWS that run as
// programs of their own.
//
// The stories are signin_test.go (Identity Center), saml_test.go (an identity
// provider's form) and console_test.go; pages_test.go judges every page that they
// come to. chromium_test.go and tab_test.go are the browser, world_test.go the rest.
// What a page means is tested without a browser where its package is; here is only
// what takes one: that a form is sent, a redirect followed, a cookie kept, a policy
// of a page obeyed, a text shown and not taken for markup.
//
// BROWSER_PICTURES names a directory for pictures of every page that is judged, as
// wide as a phone and as a desk, for somebody to look at.
//
// Without Chromium the tests are skipped, except where CI is set: there it is a
// failure.
package browser_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"hand":  hand,
	})
}

// handEnv is the pipe to which the program hand writes the page that it was to open.
const handEnv = "HAND_TO"

// hand is a $BROWSER that hands its page to a browser which runs already.
func hand() {
	err := os.WriteFile(os.Getenv(handEnv), []byte(os.Args[len(os.Args)-1]), 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
