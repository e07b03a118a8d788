package desk

import (
	"context"
	"os/exec"
	"strings"
	"time"
)

// output is what a command of sh prints that the person has named, without the
// space around it. An error holds nothing of it, which may be secret.
func output(ctx context.Context, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.WaitDelay = time.Second // for what it left behind with its output open
	text, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
