package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want access.Address
	}{
		{"orders-prod/payroll-api", access.Address{Account: "orders-prod", Role: "payroll-api"}},
		{"222222222222/Role+=,.@_-x", access.Address{Account: "222222222222", Role: "Role+=,.@_-x"}},
		{"serviceaccount:ci/payroll/api", access.Address{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "payroll", Name: "api"}}},
		{"serviceaccount:ci/payroll/api.v2", access.Address{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "payroll", Name: "api.v2"}}},
		{"arn:aws:iam::222222222222:role/ci/deploy", access.Address{ARN: arn.IAM("aws", "222222222222", "role", "/ci/", "deploy")}},
		{"arn:aws:sts::222222222222:assumed-role/deploy/me", access.Address{ARN: arn.SessionARN("aws", "222222222222", "deploy", "me")}},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			got, err := access.ParseAddress(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ParseAddress(%q) (-want +got):\n%s", test.in, diff)
			}
			if got.String() != test.in {
				t.Errorf("String() = %q, want %q", got, test.in)
			}
		})
	}
}

func TestParseAddressRefusesAndSaysWhatItWants(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "want ACCOUNT/ROLE"},
		{"payroll-api", "want ACCOUNT/ROLE"},
		{"orders-prod/", `"" is not a role's name`},
		{"/payroll-api", `"" is not an account's name`},
		{"orders-prod/ci/deploy", "leave its path out"},
		{"Orders/x", `"Orders" is not an account's name`},
		{"orders-prod/" + strings.Repeat("x", 65), "is not a role's name"},
		{"orders-prod/x*", "is not a role's name"},
		{"serviceaccount:ci/payroll", "want serviceaccount:CLUSTER/NAMESPACE/NAME"},
		{"serviceaccount:ci/pay.roll/api", `"pay.roll" is not a Kubernetes namespace`},
		{"serviceaccount:ci/payroll/*", `"*" is not a service account's name`},
		{"serviceaccount:/payroll/api", `"" is not a cluster's name`},
		{"ServiceAccount:ci/payroll/api", "want ACCOUNT/ROLE, serviceaccount:"},
		{"user:orders/bob", "want ACCOUNT/ROLE, serviceaccount:"},
		{"arn:aws:iam", "want arn:partition:service"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			got, err := access.ParseAddress(test.in)
			if !errors.Is(err, access.ErrAddress) {
				t.Fatalf("ParseAddress(%q) = %v, %v; want ErrAddress", test.in, got, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestZeroAddressIsEmptyText(t *testing.T) {
	if got := (access.Address{}).String(); got != "" {
		t.Errorf("String() = %q", got)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a/b", "serviceaccount:c/n/s", "arn:aws:iam::111111111111:role/x", "serviceaccount:", "/", "a/b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := access.ParseAddress(s)
		if err != nil {
			if !errors.Is(err, access.ErrAddress) || a != (access.Address{}) {
				t.Fatalf("ParseAddress(%q) = %v, %v", s, a, err)
			}
			return
		}
		if a.String() != s {
			t.Fatalf("ParseAddress(%q).String() = %q", s, a)
		}
	})
}
