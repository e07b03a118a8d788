package tty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// PassphraseCommandEnv names a program, run by sh, that prints the passphrase of
// the secret store. The passphrase itself is never a variable's value: every
// process below would have it, and /proc shows it.
const PassphraseCommandEnv = "STILE_PASSPHRASE_COMMAND"

// Passphrase asks for a passphrase: a program of [PassphraseCommandEnv] where there
// is one; else the person at the terminal; else $SSH_ASKPASS, as OpenSSH does, which
// SSH_ASKPASS_REQUIRE has come first (force, prefer) or not at all (never).
func Passphrase(getenv func(string) string) func(ctx context.Context, prompt string, confirm bool) (string, error) {
	return func(ctx context.Context, prompt string, confirm bool) (string, error) {
		if command := getenv(PassphraseCommandEnv); command != "" {
			text, err := output(ctx, "sh", "-c", command)
			if err != nil {
				return "", fmt.Errorf("running the program of %s: %w", PassphraseCommandEnv, err)
			}
			return text, nil
		}
		program, when := getenv("SSH_ASKPASS"), getenv("SSH_ASKPASS_REQUIRE")
		if when == "never" {
			program = ""
		}
		if program != "" && (when == "force" || when == "prefer" || !Here()) {
			return askpass(ctx, program, prompt, confirm)
		}
		return Secret(ctx, prompt, confirm)
	}
}

// askpass asks by a program that takes the prompt and prints the answer, twice for
// what is new.
func askpass(ctx context.Context, program, prompt string, confirm bool) (string, error) {
	text, err := output(ctx, program, prompt)
	if err == nil && confirm {
		var again string
		again, err = output(ctx, program, "The same again: ")
		if err == nil && again != text {
			return "", errDiffer
		}
	}
	if err != nil {
		return "", fmt.Errorf("asking by SSH_ASKPASS: %w", err)
	}
	return text, nil
}

// output is the first line of what a program prints. What it says on standard
// error is for the person.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", err // without the output, which may be secret
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r"), nil
}

var errDiffer = errors.New("the two are not the same")
