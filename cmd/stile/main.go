// Command stile declares, proves, applies and delivers access between AWS
// accounts. See the README, or stile help.
package main

import (
	"os"

	"github.com/stile-aws/stile/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
