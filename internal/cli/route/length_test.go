package route_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// lasts is for how long a command's credentials are good, about.
func lasts(t *testing.T, r routetest.Result) time.Duration {
	t.Helper()
	var c struct{ Expiration time.Time }
	if err := json.Unmarshal([]byte(r.Stdout), &c); err != nil {
		t.Fatalf("exit %d, %v: %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	return time.Until(c.Expiration).Round(5 * time.Minute)
}

func TestDuration(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	const chained = "orders-prod/target-account-iam-role"
	for _, broker := range []bool{false, true} {
		if broker {
			w.WithBroker(t)
		}
		for _, c := range []struct {
			address, duration string
			want              time.Duration
			said              string
		}{
			{api, "", time.Hour, ""},
			{api, "15m", 15 * time.Minute, ""},
			{api, "", time.Hour, ""}, // what is kept is of each length
			{chained, "30m", 30 * time.Minute, ""},
			{chained, "2h", time.Hour, "stile: " + chained + ": the credentials last 1h0m0s, not 2h0m0s: AWS lets a role that is entered from another session last an hour\n"},
		} {
			args := []string{"credential-process"}
			if c.duration != "" {
				args = append(args, "--duration", c.duration)
			}
			r := w.Stile(t, nil, append(args, c.address)...)
			if got := lasts(t, r); got != c.want || r.Stderr != c.said {
				t.Errorf("with a broker %v, %s --duration %q: %s, %q, want %s, %q", broker, c.address, c.duration, got, r.Stderr, c.want, c.said)
			}
		}
		// More than the role's maximum is AWS's to refuse.
		w.Stile(t, nil, "exec", "--duration", "12h", api, "--", "true").Refused(t, "MaxSessionDuration")
		w.Stile(t, nil, "env", "--duration", "10m", api).Refused(t, "15m to 12h")
	}
	answer := w.Write(t, "answer", `{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"x","SessionToken":"x","Expiration":"`+time.Now().Add(20*time.Minute).UTC().Format(time.RFC3339)+`"}`)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: other\n    process: {command: cat "+answer+"}\n")
	r := w.Stile(t, nil, "credential-process", "--duration", "1h", "other")
	if !strings.Contains(r.Stderr, "not 1h0m0s: the source says how long they last") {
		t.Errorf("a source that says how long: exit %d, %s", r.Code, r.Stderr)
	}
}

// A session's own length gives way to what is wanted now.
func TestDurationOfASession(t *testing.T) {
	w := routetest.New(t)
	if _, err := w.IAM(routetest.Orders).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("long"), MaxSessionDuration: aws.Int32(4 * 60 * 60),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"333333333333"},"Action":"sts:AssumeRole"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: me\n    profile: {name: network}\nsessions:\n  - {name: long, source: me, account: \"222222222222\", role: long, duration: 2h}\n")
	for _, c := range []struct {
		args []string
		want time.Duration
	}{{nil, 2 * time.Hour}, {[]string{"--duration", "4h"}, 4 * time.Hour}, {[]string{"--duration", "15m"}, 15 * time.Minute}, {nil, 2 * time.Hour}} {
		r := w.Stile(t, nil, append(append([]string{"credential-process"}, c.args...), "long")...)
		if got := lasts(t, r); got != c.want || r.Stderr != "" {
			t.Errorf("%q: %s, %q, want %s", c.args, got, r.Stderr, c.want)
		}
	}
}
