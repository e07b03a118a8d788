package env

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Formats are the names Write knows.
func Formats() []string {
	return []string{"bash", "zsh", "fish", "powershell", "cmd", "dotenv", "json"}
}

// Format is the syntax of a login shell, such as $SHELL names: bash where it
// cannot be told.
func Format(shell string) string {
	switch name := filepath.Base(shell); name {
	case "fish", "zsh":
		return name
	case "pwsh":
		return "powershell"
	}
	return "bash"
}

// Write writes the difference between two environments, NAME=VALUE each, in the
// syntax of a shell: what a shell with the first has to evaluate to have the
// second. json and dotenv have what is set alone.
func Write(w io.Writer, format string, from, to []string) error {
	if !slices.Contains(Formats(), format) {
		return fmt.Errorf("writing an environment: format %q: want one of %s", format, strings.Join(Formats(), ", "))
	}
	before, after := asMap(from), asMap(to)
	set := map[string]string{}
	for name, value := range after {
		if old, ok := before[name]; !ok || old != value {
			set[name] = value
		}
	}
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(set)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, kept := after[name]; !kept {
			b.WriteString(unset(format, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		line, err := assign(format, name, set[name])
		if err != nil {
			return err
		}
		b.WriteString(line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func asMap(environ []string) map[string]string {
	m := map[string]string{}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok && name != "" {
			m[name] = value
		}
	}
	return m
}

func unset(format, name string) string {
	switch format {
	case "fish":
		// A universal variable is all shells' and stays, hidden by one without a
		// value: fish exports it though an unexported one hides it.
		return "set -eg " + name + "; set -qU " + name + "; and set -gx " + name + " '';\n"
	case "powershell":
		return "Remove-Item -ErrorAction SilentlyContinue Env:" + name + "\n"
	case "cmd":
		return "set " + name + "=\r\n"
	case "dotenv":
		return ""
	}
	return "unset " + name + "\n"
}

// assign writes one variable so that the shell takes the value literally.
func assign(format, name, value string) (string, error) {
	switch format {
	case "fish":
		return "set -gx " + name + " " + Quote(format, value) + ";\n", nil
	case "powershell":
		return "$Env:" + name + " = '" + strings.ReplaceAll(value, "'", "''") + "'\n", nil
	case "cmd":
		if strings.ContainsAny(value, "\r\n\"%!") {
			return "", fmt.Errorf("writing an environment: cmd has no way to write the value of %s", name)
		}
		return `set "` + name + "=" + value + "\"\r\n", nil
	case "dotenv":
		if strings.ContainsAny(value, "\r\n'") {
			return "", fmt.Errorf("writing an environment: dotenv files have no way to write the value of %s", name)
		}
		return name + "='" + value + "'\n", nil
	}
	return "export " + name + "=" + Quote(format, value) + "\n", nil
}

// Quote writes a word so that bash, zsh or fish takes it literally.
func Quote(format, word string) string {
	if format == "fish" {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(word) + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
