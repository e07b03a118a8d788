// Command stile declares, proves, applies and delivers access between AWS
// accounts. See the README, or stile help.
package main

import (
	"os"

	"github.com/stile-aws/stile/internal/cli"
	_ "github.com/stile-aws/stile/internal/early" // answers before the rest is initialised
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
