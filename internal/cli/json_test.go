package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

const ordersTable = "arn:aws:dynamodb:us-east-1:222222222222:table/Orders"

// jsonCommands are what is run for each command that has --json; those of people's
// sessions in a world that has some.
var jsonCommands = map[string][]string{
	"apply":              {"apply", "--yes", "PAYROLL"},
	"plan":               {"plan", "PAYROLL"},
	"destroy":            {"destroy", "--yes", "PAYROLL"},
	"verify":             {"verify", "--probe", "assume", "PAYROLL"},
	"can":                {"can", "serviceaccount:ci/payroll/api", "dynamodb:PutItem", ordersTable},
	"observe":            {"observe", "--accounts", "orders-prod,tooling", "-f", "PAYROLL", "--out", "acme.json"},
	"who-can":            {"who-can", "--inventory", "acme.json", "dynamodb:GetItem", ordersTable},
	"what-can":           {"what-can", "--inventory", "acme.json", "arn:aws:iam::222222222222:role/stile/payroll-api"},
	"paths":              {"paths", "--inventory", "acme.json", "serviceaccount:ci/payroll/api", "dynamodb:GetItem", ordersTable},
	"diff":               {"diff", "empty.json", "acme.json"},
	"lint":               {"lint", "--inventory", "acme.json"},
	"policy test":        {"policy", "test", "cases.yaml"},
	"whoami":             {"whoami", "orders-prod/payroll-api"},
	"each":               {"each", "orders-prod/payroll-api", "--", "true"},
	"log":                {"log"},
	"doctor":             {"doctor"},
	"broker status":      {"broker", "status"},
	"sessions list":      {"sessions", "list"},
	"ls":                 {"ls"},
	"secrets list":       {"secrets", "list"},
	"secrets status":     {"secrets", "status"},
	"rotate":             {"rotate", "--keep-old", "jane"},
	"login":              {"login"},
	"console":            {"console", "--print", "orders-prod/payroll-api"},
	"explain-credential": {"explain-credential", "orders-prod/payroll-api"},
}

// jsonOrder has first what the others need.
var jsonOrder = []string{"plan", "apply", "observe", "login"}

var jsonOfPeople = []string{"login", "ls", "sessions list"}

// Keys of --json are what scripts go by: lowerCamelCase, whatever the Go types
// behind them are called. AWS's own documents keep AWS's keys.
func TestKeysOfJSON(t *testing.T) {
	w, people := routetest.New(t), logintest.New(t)
	prepareJSON(t, w)
	names := slices.Sorted(maps.Keys(jsonCommands))
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	for _, name := range names {
		var args []string
		for _, arg := range jsonCommands[name] {
			args = append(args, strings.ReplaceAll(arg, "PAYROLL", w.Dir+"/payroll"))
		}
		args = slices.Insert(args, len(strings.Fields(name)), "--json")
		in := w
		if slices.Contains(jsonOfPeople, name) {
			in = people.World
		}
		r := in.Stile(t, nil, args...)
		if r.Stdout == "" {
			t.Errorf("%s printed nothing: exit %d, %s", name, r.Code, r.Stderr)
		}
		dec := json.NewDecoder(strings.NewReader(r.Stdout))
		for {
			var value any
			err := dec.Decode(&value)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s prints no JSON: %v\n%s", name, err, r.Stdout)
				break
			}
			checkKeys(t, name, "", value)
		}
	}
}

func place(name string) int {
	if name == "destroy" {
		return len(jsonCommands)
	}
	if i := slices.Index(jsonOrder, name); i >= 0 {
		return i
	}
	return len(jsonOrder)
}

// prepareJSON makes what the commands read, and a user whose key is rotated.
func prepareJSON(t *testing.T, w *routetest.World) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(w.Dir, "payroll"), os.DirFS("../../examples/payroll")); err != nil {
		t.Fatal(err)
	}
	accounts := filepath.Join(w.Dir, "payroll", "accounts.yaml")
	text, err := os.ReadFile(accounts)
	if err != nil {
		t.Fatal(err)
	}
	// an account in which every field is set
	w.Write(t, "payroll/accounts.yaml", string(text)+`---
apiVersion: stile.dev/v1alpha1
kind: Account
metadata: {name: far, labels: {env: dev}}
spec:
  id: "444444444444"
  manageWith: {profile: tooling, chain: [{role: "arn:aws:iam::444444444444:role/Deploy", externalID: xyz}]}
  permissionsBoundary: arn:aws:iam::444444444444:policy/Boundary
`)
	w.Write(t, "empty.json", `{"format":"stile-inventory","version":1}`)
	w.Write(t, "cases.yaml", `rules:
  - rule: bucket
    cases:
      - id: too-strict
        principal: arn:aws:iam::111111111111:user/ann
        action: s3:ListBucket
        resource: arn:aws:s3:::reports
        identityPolicies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:ListBucket", Resource: "*"}]}]
        expected: ImplicitDeny
`)
	client := w.IAM(routetest.Tooling)
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("jane")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{UserName: aws.String("jane"), PolicyArn: aws.String("arn:aws:iam::aws:policy/IAMFullAccess")}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("jane")})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.Dir, "credentials")
	if text, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	w.Write(t, "credentials", fmt.Sprintf("%s[jane]\naws_access_key_id = %s\naws_secret_access_key = %s\n", text, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey))
}

func checkKeys(t *testing.T, command, path string, value any) {
	switch v := value.(type) {
	case []any:
		for _, x := range v {
			checkKeys(t, command, path+"[]", x)
		}
	case map[string]any:
		if _, ok := v["Statement"]; ok {
			return // a policy
		}
		for key, x := range v {
			if key != "" && unicode.IsUpper(rune(key[0])) {
				t.Errorf("stile %s --json has the key %s.%s", command, path, key)
			}
			checkKeys(t, command, path+"."+key, x)
		}
	}
}

// Every command with --json is among those whose keys are looked at.
func TestEveryCommandWithJSONIsLookedAt(t *testing.T) {
	found := map[string]bool{}
	var walk func(cmd *cobra.Command, path string)
	walk = func(cmd *cobra.Command, path string) {
		if cmd.Flags().Lookup("json") != nil {
			found[path] = true
			if _, ok := jsonCommands[path]; !ok && path != "serve" { // it goes on until it is interrupted; its own tests look
				t.Errorf("stile %s has --json, and no line in jsonCommands", path)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
	}
	walk(cli.Root(cli.System()), "")
	for name := range jsonCommands {
		if !found[name] {
			t.Errorf("stile %s has no --json", name)
		}
	}
}
