package creds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
)

// The durations STS grants. Source: STS API reference, AssumeRole,
// DurationSeconds: 900 to 43200 seconds; and IAM guide id_roles_terms, role
// chaining: at most one hour.
const (
	MinDuration     = 15 * time.Minute
	MaxDuration     = 12 * time.Hour
	ChainedDuration = time.Hour
)

// Role is what to ask STS for: a role and every parameter of the request. All
// of it goes into the [Provider.Key].
type Role struct {
	ARN string // required
	// SessionName is seen in CloudTrail and in the session's ARN; see
	// [SessionName]. Default: the name of the session the role is entered from,
	// else "stile".
	SessionName string
	// Duration is how long the session should last. Default one hour. Less than
	// what STS grants is raised to MinDuration; more is lowered to MaxDuration,
	// and to ChainedDuration when the role is entered with a session's
	// credentials, where STS refuses more.
	Duration time.Duration
	// ExternalID, SourceIdentity, Tags and TransitiveTags (keys of Tags that the
	// next hops inherit) are of AssumeRole only: a web identity brings its own
	// in the token. SourceIdentity may be [CallerName].
	ExternalID, SourceIdentity string
	Tags                       map[string]string
	TransitiveTags             []string
	// Policy (JSON) and PolicyARNs narrow what the session may do.
	Policy     string
	PolicyARNs []string
	// MFA is the device to prove the caller's presence with, of AssumeRole only.
	// A role with one is never refreshed in the background.
	MFA *MFA
}

// CallerName as Role.SourceIdentity stands for the name of the session that the
// role is entered from, or the role's own session name where that has none. The
// source identity is set at the first role of a chain that asks for it and stays
// for all that follow: AWS lets nobody change it (IAM guide,
// id_credentials_temp_control-access_monitor). It takes sts:SetSourceIdentity in
// the caller's policy and in the trust policy of every role of the chain.
const CallerName = "$caller"

// MFA is a device that makes one-time codes.
type MFA struct {
	Serial string // the device's ARN or serial number
	// Code asks for the code of the moment. It may wait for a person, and is
	// given up with the fetch (see [Config.Timeout]).
	Code func(ctx context.Context) (string, error) `json:"-"`
}

// clone takes the role out of its caller's hands.
func (r Role) clone() Role {
	r.Tags = maps.Clone(r.Tags)
	r.TransitiveTags = slices.Clone(r.TransitiveTags)
	r.PolicyARNs = slices.Clone(r.PolicyARNs)
	return r
}

func (r *Role) check() error {
	a, err := arn.Parse(r.ARN)
	if err != nil {
		return fmt.Errorf("preparing to assume a role: %w", err)
	}
	if a.Service != "iam" || a.Type() != "role" {
		return fmt.Errorf("preparing to assume a role: %s is not the ARN of a role", r.ARN)
	}
	if r.SessionName != SessionName(r.SessionName) {
		return fmt.Errorf("preparing to assume role %s: session name %q: want 2 to 64 letters, digits or any of _+=,.@-", r.ARN, r.SessionName)
	}
	if r.MFA != nil && (r.MFA.Serial == "" || r.MFA.Code == nil) {
		return fmt.Errorf("preparing to assume role %s: MFA needs a serial number and something to ask for codes", r.ARN)
	}
	return nil
}

func accountOf(role string) string {
	a, _ := arn.Parse(role) // checked when the provider was made
	return string(a.Account)
}

// checkWebIdentity refuses what AssumeRoleWithWebIdentity has no parameter for.
func (r *Role) checkWebIdentity() error {
	if r.ExternalID != "" || r.SourceIdentity != "" || r.MFA != nil || len(r.Tags) > 0 || len(r.TransitiveTags) > 0 {
		return errors.New("preparing to assume role " + r.ARN + ": external id, source identity, tags and MFA of a web identity come from its token")
	}
	return r.check()
}

// seconds is the duration to ask for.
func (r *Role) seconds(chained bool) *int32 {
	d := r.Duration
	if d == 0 {
		d = time.Hour
	}
	longest := MaxDuration
	if chained {
		longest = ChainedDuration
	}
	return aws.Int32(int32(min(max(d, MinDuration), longest) / time.Second))
}

func (r *Role) policyARNs() []types.PolicyDescriptorType {
	var out []types.PolicyDescriptorType
	for _, a := range r.PolicyARNs {
		out = append(out, types.PolicyDescriptorType{Arn: aws.String(a)})
	}
	return out
}

func (r *Role) tags() []types.Tag {
	var out []types.Tag
	for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(r.Tags[k])})
	}
	return out
}

const (
	defaultSessionName = "stile"
	maxSessionName     = 64 // STS API reference, RoleSessionName: 2 to 64 of [\w+=,.@-]
)

// SessionName makes a role session name of a caller's name, such as "ci-payroll-api"
// of "ci/payroll/api": every run of other characters becomes one hyphen, and
// what is too long is cut and ends in a hash of the whole, so that two callers
// never get the same. A valid name stays as it is.
func SessionName(caller string) string {
	var b strings.Builder
	other := false
	for _, c := range caller {
		ok := c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_+=,.@-", c))
		if ok {
			b.WriteRune(c)
		} else if !other {
			b.WriteByte('-')
		}
		other = !ok
	}
	name := b.String()
	switch {
	case caller == "":
		return ""
	case len(name) > maxSessionName:
		sum := sha256.Sum256([]byte(caller))
		return name[:maxSessionName-9] + "-" + hex.EncodeToString(sum[:4])
	case len(name) < 2:
		return name + "-" + defaultSessionName
	}
	return name
}
