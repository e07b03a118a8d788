package access

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
)

// ErrAddress is wrapped by every error of ParseAddress.
var ErrAddress = errors.New("not an address")

const serviceAccountPrefix = "serviceaccount:"

// Address names a principal, in the one grammar that all of stile uses: a role
// as ACCOUNT/ROLE with the account's name or id, a workload as
// serviceaccount:CLUSTER/NAMESPACE/NAME, or anything by its ARN. Exactly one of
// the three forms is set; nothing says that what is named exists. The zero
// Address names nothing.
type Address struct {
	Account, Role  string // the form ACCOUNT/ROLE; Account as written
	ServiceAccount *ServiceAccount
	ARN            arn.ARN
}

// ParseAddress parses s. Its errors wrap ErrAddress and say what was expected.
func ParseAddress(s string) (Address, error) {
	if rest, ok := strings.CutPrefix(s, serviceAccountPrefix); ok {
		return parseServiceAccount(s, rest)
	}
	if strings.HasPrefix(s, "arn:") {
		a, err := arn.Parse(s)
		if err != nil {
			return Address{}, fmt.Errorf("parsing address: %w: %v", ErrAddress, err)
		}
		return Address{ARN: a}, nil
	}
	account, role, ok := strings.Cut(s, "/")
	if !ok || strings.Contains(s, ":") {
		return Address{}, addressError(s, "want ACCOUNT/ROLE, serviceaccount:CLUSTER/NAMESPACE/NAME or an ARN")
	}
	if !dnsSubdomain(account) {
		return Address{}, addressError(s, fmt.Sprintf("%q is not an account's name or id", account))
	}
	if !onlyOf(role, iamNameChars, 1, catalog.RoleNameSize) {
		return Address{}, addressError(s, fmt.Sprintf("%q is not a role's name (leave its path out)", role))
	}
	return Address{Account: account, Role: role}, nil
}

func parseServiceAccount(s, rest string) (Address, error) {
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return Address{}, addressError(s, "want serviceaccount:CLUSTER/NAMESPACE/NAME")
	}
	sa := &ServiceAccount{Cluster: parts[0], Namespace: parts[1], Name: parts[2]}
	switch {
	case !dnsSubdomain(sa.Cluster):
		return Address{}, addressError(s, fmt.Sprintf("%q is not a cluster's name", sa.Cluster))
	case !dnsLabel(sa.Namespace):
		return Address{}, addressError(s, fmt.Sprintf("%q is not a Kubernetes namespace", sa.Namespace))
	case !dnsSubdomain(sa.Name):
		return Address{}, addressError(s, fmt.Sprintf("%q is not a service account's name", sa.Name))
	}
	return Address{ServiceAccount: sa}, nil
}

func addressError(s, why string) error {
	return fmt.Errorf("parsing address %q: %w: %s", s, ErrAddress, why)
}

// String writes a as ParseAddress reads it, "" for the zero Address.
func (a Address) String() string {
	switch {
	case a.ServiceAccount != nil:
		return a.ServiceAccount.String()
	case !a.ARN.IsZero():
		return a.ARN.String()
	case a.Account != "":
		return a.Account + "/" + a.Role
	}
	return ""
}
