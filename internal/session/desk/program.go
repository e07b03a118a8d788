package desk

import (
	"context"
	"strings"

	"github.com/stile-aws/stile/internal/program"
)

// output is what a program prints that the person has named for something, without
// the space around it.
func output(ctx context.Context, command, of string) (string, error) {
	p, err := program.New(command, of)
	if err != nil {
		return "", err
	}
	text, err := p.Output(ctx)
	return strings.TrimSpace(string(text)), err
}
