package env_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/deliver/env"
)

// nasty has what shells treat specially.
const nasty = `a'b"c $HOME \ ` + "`id`" + ` %PATH% !x; rm -rf / # *`

func TestFormats(t *testing.T) {
	from := []string{"AWS_PROFILE=x", "HOME=/home/ann", "AWS_REGION=us-east-1"}
	to := []string{"HOME=/home/ann", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=ASIA"}
	for format, want := range map[string]string{
		"bash":       "unset AWS_PROFILE\nexport AWS_ACCESS_KEY_ID='ASIA'\nexport AWS_REGION='eu-west-1'\n",
		"zsh":        "unset AWS_PROFILE\nexport AWS_ACCESS_KEY_ID='ASIA'\nexport AWS_REGION='eu-west-1'\n",
		"fish":       "set -eg AWS_PROFILE; set -qU AWS_PROFILE; and set -gx AWS_PROFILE '';\nset -gx AWS_ACCESS_KEY_ID 'ASIA';\nset -gx AWS_REGION 'eu-west-1';\n",
		"powershell": "Remove-Item -ErrorAction SilentlyContinue Env:AWS_PROFILE\n$Env:AWS_ACCESS_KEY_ID = 'ASIA'\n$Env:AWS_REGION = 'eu-west-1'\n",
		"cmd":        "set AWS_PROFILE=\r\nset \"AWS_ACCESS_KEY_ID=ASIA\"\r\nset \"AWS_REGION=eu-west-1\"\r\n",
		"dotenv":     "AWS_ACCESS_KEY_ID='ASIA'\nAWS_REGION='eu-west-1'\n",
		"json":       "{\n  \"AWS_ACCESS_KEY_ID\": \"ASIA\",\n  \"AWS_REGION\": \"eu-west-1\"\n}\n",
	} {
		var b strings.Builder
		if err := env.Write(&b, format, from, to); err != nil || b.String() != want {
			t.Errorf("%s: %v\n%q, want\n%q", format, err, b.String(), want)
		}
	}
	if err := env.Write(&strings.Builder{}, "tcsh", from, to); err == nil || !strings.Contains(err.Error(), "powershell") {
		t.Errorf("an unknown format: %v, want the known ones", err)
	}
}

func TestValuesAreTakenLiterally(t *testing.T) {
	write := func(format string) (string, error) {
		var b strings.Builder
		err := env.Write(&b, format, nil, []string{"X=" + nasty})
		return b.String(), err
	}
	script, err := write("bash")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script+`printf %s "$X"`).Output()
	if err != nil || string(out) != nasty {
		t.Errorf("bash has %q, %v, want %q", out, err, nasty)
	}
	text, err := write("json")
	var m map[string]string
	if err != nil || json.Unmarshal([]byte(text), &m) != nil || m["X"] != nasty {
		t.Errorf("JSON has %q, %v", m["X"], err)
	}
	for _, format := range []string{"cmd", "dotenv"} {
		if text, err := write(format); err == nil {
			t.Errorf("%s writes %q, want a refusal of what it cannot say", format, text)
		}
	}
	for format, want := range map[string]string{
		"fish":       `set -gx X 'a\'b"c $HOME \\ ` + "`id`" + ` %PATH% !x; rm -rf / # *';` + "\n",
		"powershell": `$Env:X = 'a''b"c $HOME \ ` + "`id`" + ` %PATH% !x; rm -rf / # *'` + "\n",
	} {
		if text, err := write(format); err != nil || text != want {
			t.Errorf("%s: %v\n%s, want\n%s", format, err, text, want)
		}
	}
}
