package localaws_test

import (
	"bytes"
	"encoding/base32"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/totp"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

// phone is a user with a virtual MFA device, and what shows its codes.
type phone struct {
	t      *testing.T
	server *localaws.Server
	clock  *store.ManualClock
	admin  *iam.Client
	config aws.Config // of the user's own key
	serial string
	seed   []byte
}

// newPhone makes the user dana, who may assume roles, with a device that is not
// enabled yet.
func newPhone(t *testing.T, change func(*localaws.Config)) *phone {
	t.Helper()
	p := &phone{t: t, clock: store.NewManualClock(time.Now().Truncate(time.Second))}
	p.server = start(t, func(c *localaws.Config) {
		c.Clock = p.clock
		if change != nil {
			change(c)
		}
	})
	p.admin = iam.NewFromConfig(config(t, p.server, A))
	ctx := t.Context()
	if _, err := p.admin.CreateUser(ctx, &iam.CreateUserInput{UserName: ptr("dana")}); err != nil {
		t.Fatal(err)
	}
	_, err := p.admin.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: ptr("dana"), PolicyName: ptr("p"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:*"],"Resource":"*"},
			{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.admin.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: ptr("dana")})
	if err != nil {
		t.Fatal(err)
	}
	p.config = with(p.server, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
	device, err := p.admin.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: ptr("dana-phone"), Path: ptr("/phones/")})
	if err != nil {
		t.Fatal(err)
	}
	p.serial = *device.VirtualMFADevice.SerialNumber
	if p.serial != "arn:aws:iam::111111111111:mfa/phones/dana-phone" || len(device.VirtualMFADevice.Base32StringSeed) != 64 {
		t.Errorf("device %s with a seed of %d letters", p.serial, len(device.VirtualMFADevice.Base32StringSeed))
	}
	if _, err := png.Decode(bytes.NewReader(device.VirtualMFADevice.QRCodePNG)); err != nil {
		t.Errorf("QR code: %v", err)
	}
	if p.seed, err = base32.StdEncoding.DecodeString(string(device.VirtualMFADevice.Base32StringSeed)); err != nil {
		t.Fatal(err)
	}
	return p
}

// code is what the phone shows, or has shown or will show some steps away.
func (p *phone) code(steps int64) *string {
	code := totp.Code(p.seed, totp.StepAt(p.clock.Now())+steps)
	return &code
}

// wait lets time pass, by which clients sign too.
func (p *phone) wait(d time.Duration) {
	p.t.Helper()
	if err := p.server.World().Advance(d); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) enable(first, second *string) error {
	_, err := p.admin.EnableMFADevice(p.t.Context(), &iam.EnableMFADeviceInput{
		UserName: ptr("dana"), SerialNumber: &p.serial, AuthenticationCode1: first, AuthenticationCode2: second,
	})
	return err
}

// enabled is a phone whose device is enabled, some time ago.
func enabled(t *testing.T) *phone {
	t.Helper()
	p := newPhone(t, nil)
	if err := p.enable(p.code(-1), p.code(0)); err != nil {
		t.Fatal(err)
	}
	p.wait(2 * time.Minute)
	return p
}

func (p *phone) sessionToken(code *string) (aws.Config, error) {
	in := &sts.GetSessionTokenInput{TokenCode: code}
	if code != nil {
		in.SerialNumber = &p.serial
	}
	out, err := sts.NewFromConfig(p.config).GetSessionToken(p.t.Context(), in)
	if err != nil {
		return aws.Config{}, err
	}
	return p.of(out.Credentials), nil
}

func (p *phone) of(c *ststypes.Credentials) aws.Config {
	return with(p.server, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func TestDevicesAreEnabledByTwoCodesInARow(t *testing.T) {
	p := newPhone(t, nil)
	for name, codes := range map[string][2]*string{
		"the same twice": {p.code(0), p.code(0)}, "out of order": {p.code(0), p.code(-1)}, "of long ago": {p.code(-5), p.code(-4)},
		"of the future": {p.code(4), p.code(5)}, "invented": {ptr("000000"), ptr("000001")},
	} {
		worldtest.WantError(t, p.enable(codes[0], codes[1]), "InvalidAuthenticationCode", "")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if err := p.enable(p.code(-1), p.code(0)); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, p.enable(p.code(-1), p.code(0)), "EntityAlreadyExists", "in use")
	if _, err := p.sessionToken(p.code(0)); err == nil {
		t.Error("the code that enabled the device is good again")
	}
}

func TestDevicesAreListedAndDeleted(t *testing.T) {
	p := enabled(t)
	ctx := t.Context()
	virtual := func(status types.AssignmentStatusType) int {
		t.Helper()
		out, err := p.admin.ListVirtualMFADevices(ctx, &iam.ListVirtualMFADevicesInput{AssignmentStatus: status})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range out.VirtualMFADevices {
			if len(d.Base32StringSeed) > 0 || status == types.AssignmentStatusTypeAssigned && *d.User.UserName != "dana" {
				t.Errorf("listed: %+v", d)
			}
		}
		return len(out.VirtualMFADevices)
	}
	if _, err := p.admin.CreateVirtualMFADevice(ctx, &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: ptr("spare")}); err != nil {
		t.Fatal(err)
	}
	if a, u, all := virtual(types.AssignmentStatusTypeAssigned), virtual(types.AssignmentStatusTypeUnassigned), virtual(""); a != 1 || u != 1 || all != 2 {
		t.Errorf("%d assigned, %d unassigned, %d devices", a, u, all)
	}
	list, err := p.admin.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: ptr("dana")})
	if err != nil || len(list.MFADevices) != 1 || *list.MFADevices[0].SerialNumber != p.serial || *list.MFADevices[0].UserName != "dana" {
		t.Errorf("dana's devices: %v %v", list, err)
	}
	if _, err := p.admin.GetMFADevice(ctx, &iam.GetMFADeviceInput{UserName: ptr("dana"), SerialNumber: &p.serial}); err != nil {
		t.Error(err)
	}
	summary, err := p.admin.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil || summary.SummaryMap["MFADevices"] != 2 || summary.SummaryMap["MFADevicesInUse"] != 1 {
		t.Errorf("summary: %v %v", summary, err)
	}
	if _, err := p.admin.TagMFADevice(ctx, &iam.TagMFADeviceInput{SerialNumber: &p.serial, Tags: []types.Tag{{Key: ptr("k"), Value: ptr("v")}}}); err != nil {
		t.Error(err)
	}
	if tags, err := p.admin.ListMFADeviceTags(ctx, &iam.ListMFADeviceTagsInput{SerialNumber: &p.serial}); err != nil || len(tags.Tags) != 1 {
		t.Errorf("tags: %v %v", tags, err)
	}
	_, err = p.admin.DeleteVirtualMFADevice(ctx, &iam.DeleteVirtualMFADeviceInput{SerialNumber: &p.serial})
	worldtest.WantError(t, err, "DeleteConflict", "Must deactivate first")
	_, err = p.admin.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{UserName: ptr("Administrator"), SerialNumber: &p.serial})
	worldtest.WantError(t, err, "NoSuchEntity", "")
	if _, err := p.admin.DeactivateMFADevice(ctx, &iam.DeactivateMFADeviceInput{UserName: ptr("dana"), SerialNumber: &p.serial}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.sessionToken(p.code(0)); err == nil {
		t.Error("a device that is nobody's is good")
	}
	if _, err := p.admin.DeleteVirtualMFADevice(ctx, &iam.DeleteVirtualMFADeviceInput{SerialNumber: &p.serial}); err != nil {
		t.Error(err)
	}
}

func TestUsersWithADeviceAreNotDeleted(t *testing.T) {
	p := enabled(t)
	ctx := t.Context()
	keys, err := p.admin.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: ptr("dana")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.admin.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: ptr("dana"), AccessKeyId: keys.AccessKeyMetadata[0].AccessKeyId}); err != nil {
		t.Fatal(err)
	}
	_, err = p.admin.DeleteUser(ctx, &iam.DeleteUserInput{UserName: ptr("dana")})
	worldtest.WantError(t, err, "DeleteConflict", "MFA device")
}

func TestCodesAreGoodOnceAndForAStepToEitherSide(t *testing.T) {
	p := enabled(t)
	for _, steps := range []int64{-2, 2} {
		_, err := p.sessionToken(p.code(steps))
		worldtest.WantError(t, err, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	for _, steps := range []int64{-1, 0, 1} {
		if _, err := p.sessionToken(p.code(steps)); err != nil {
			t.Errorf("%d steps away: %v", steps, err)
		}
		_, err := p.sessionToken(p.code(steps))
		worldtest.WantError(t, err, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
}

// Devices of people go by the computer's clock, whatever the local AWS's says.
func TestCodesOfTheComputersClockAreGood(t *testing.T) {
	p := enabled(t)
	p.wait(7 * time.Hour)
	if _, err := p.sessionToken(p.code(0)); err != nil {
		t.Error(err)
	}
	p.clock.Advance(10 * totp.Step) // of both clocks
	code := totp.Code(p.seed, totp.StepAt(p.clock.Now().Add(-p.server.World().Ahead())))
	if _, err := p.sessionToken(&code); err != nil {
		t.Error(err)
	}
	if _, err := p.sessionToken(p.code(0)); err != nil {
		t.Error(err)
	}
}

func TestDevicesThatDriftAreSynchronized(t *testing.T) {
	p := enabled(t)
	if _, err := p.sessionToken(p.code(10)); err == nil {
		t.Fatal("a device five minutes ahead is good as it is")
	}
	resync := func(first, second *string) error {
		_, err := p.admin.ResyncMFADevice(t.Context(), &iam.ResyncMFADeviceInput{
			UserName: ptr("dana"), SerialNumber: &p.serial, AuthenticationCode1: first, AuthenticationCode2: second,
		})
		return err
	}
	worldtest.WantError(t, resync(p.code(10), p.code(12)), "InvalidAuthenticationCode", "")
	if err := resync(p.code(9), p.code(10)); err != nil {
		t.Fatal(err)
	}
	p.wait(totp.Step)
	if _, err := p.sessionToken(p.code(10)); err != nil {
		t.Errorf("after synchronization: %v", err)
	}
}

func TestSessionsWithMFAMayDoWhatAsksForIt(t *testing.T) {
	p := enabled(t)
	plain, err := p.sessionToken(nil)
	if err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, listRoles(t, plain), "InvalidClientTokenId", "")
	worldtest.WantError(t, listRoles(t, p.config), "AccessDenied", "iam:ListRoles")
	strong, err := p.sessionToken(p.code(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := listRoles(t, strong); err != nil {
		t.Errorf("with MFA: %v", err)
	}
}

func TestWhatIsWrongWithAnMFARequestIsSaid(t *testing.T) {
	p := enabled(t)
	other := newDevice(t, p.admin, "spare")
	user, admin := sts.NewFromConfig(p.config), sts.NewFromConfig(config(t, p.server, A))
	const unable = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
	for name, c := range map[string]struct {
		client       *sts.Client
		serial, code *string
		text         string
	}{
		"no code":               {user, &p.serial, nil, "must provide both MFA serial number and one time pass code"},
		"no serial number":      {user, nil, p.code(0), "must provide both MFA serial number and one time pass code"},
		"another user's device": {admin, &p.serial, p.code(0), unable},
		"a device nobody has":   {user, &other, p.code(0), unable},
		"no such device":        {user, ptr("arn:aws:iam::111111111111:mfa/none"), p.code(0), unable},
		"another account's":     {user, ptr("arn:aws:iam::222222222222:mfa/phones/dana-phone"), p.code(0), unable},
		"a device's wrong path": {user, ptr("arn:aws:iam::111111111111:mfa/dana-phone"), p.code(0), unable},
		"a user for a device":   {user, ptr("arn:aws:iam::111111111111:user/dana"), p.code(0), unable},
		"a wrong code":          {user, &p.serial, ptr("123456"), "MultiFactorAuthentication failed with invalid MFA one time pass code."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{SerialNumber: c.serial, TokenCode: c.code})
			worldtest.WantError(t, err, "AccessDenied", c.text)
			_, err = c.client.AssumeRole(t.Context(), &sts.AssumeRoleInput{
				RoleArn: ptr("arn:aws:iam::111111111111:role/none"), RoleSessionName: ptr("s1"), SerialNumber: c.serial, TokenCode: c.code,
			})
			worldtest.WantError(t, err, "AccessDenied", c.text)
		})
	}
	if _, err := p.sessionToken(p.code(0)); err != nil {
		t.Errorf("a code was spent by requests that were not its owner's: %v", err)
	}
}

func newDevice(t *testing.T, client *iam.Client, name string) string {
	t.Helper()
	out, err := client.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *out.VirtualMFADevice.SerialNumber
}

// A trust policy sees the MFA of the request or of the caller's session; the
// session of the role has that of a session it was made with, not that of a code.
func TestRolesThatAskForMFA(t *testing.T) {
	p := enabled(t)
	ctx := t.Context()
	_, err := p.admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: ptr("strong"), MaxSessionDuration: aws.Int32(7200),
		AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole",
			"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.admin.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: ptr("strong"), PolicyName: ptr("p"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	assume := func(cfg aws.Config, code *string) (aws.Config, error) {
		in := &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::111111111111:role/strong"), RoleSessionName: ptr("s1"), TokenCode: code}
		if code != nil {
			in.SerialNumber = &p.serial
		}
		out, err := sts.NewFromConfig(cfg).AssumeRole(ctx, in)
		if err != nil {
			return aws.Config{}, err
		}
		return p.of(out.Credentials), nil
	}
	_, err = assume(p.config, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	plain, err := p.sessionToken(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = assume(plain, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	byCode, err := assume(p.config, p.code(0))
	if err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, listRoles(t, byCode), "AccessDenied", "iam:ListRoles")
	strong, err := p.sessionToken(p.code(1))
	if err != nil {
		t.Fatal(err)
	}
	bySession, err := assume(strong, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := listRoles(t, bySession); err != nil {
		t.Errorf("a session made with MFA: %v", err)
	}
	p.wait(time.Hour)
	_, err = assume(strong, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole") // the MFA is too old
}

// STS counts the credentials of GetSessionToken as a chain, code or not; a code with
// AssumeRole itself gives the role's whole length.
func TestRolesFromAnMFASessionLastAnHour(t *testing.T) {
	p := enabled(t)
	ctx := t.Context()
	_, err := p.admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: ptr("long"), MaxSessionDuration: aws.Int32(43200),
		AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole",
			"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	proven, err := p.sessionToken(p.code(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		by      aws.Config
		code    *string
		seconds int32
		refused string
	}{
		{"an hour", proven, nil, 3600, ""},
		{"a second more", proven, nil, 3601, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."},
		{"the key with a code", p.config, p.code(1), 43200, ""},
	} {
		in := &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::111111111111:role/long"), RoleSessionName: ptr("s1"), DurationSeconds: &test.seconds, TokenCode: test.code}
		if test.code != nil {
			in.SerialNumber = &p.serial
		}
		out, err := sts.NewFromConfig(test.by).AssumeRole(ctx, in)
		switch {
		case test.refused != "":
			worldtest.WantError(t, err, "ValidationError", test.refused)
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		default:
			if got, want := out.Credentials.Expiration.Sub(p.clock.Now()).Round(time.Second), time.Duration(test.seconds)*time.Second; got != want {
				t.Errorf("%s: the session lasts %v, want %v", test.name, got, want)
			}
		}
	}
}

// Tags and the source identity are AssumeRole's, which an MFA session may call.
func TestAnMFASessionPassesTagsAndASourceIdentity(t *testing.T) {
	p := enabled(t)
	ctx := t.Context()
	for name, actions := range map[string]string{"open": `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`, "plain": `"sts:AssumeRole"`} {
		_, err := p.admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name,
			AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":` + actions + `}}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	proven, err := p.sessionToken(p.code(0))
	if err != nil {
		t.Fatal(err)
	}
	tags := []ststypes.Tag{{Key: ptr("ticket"), Value: ptr("1")}}
	for _, test := range []struct {
		name, role, refused string
		tags                []ststypes.Tag
		source              *string
	}{
		{"tags", "open", "", tags, nil},
		{"a source identity", "open", "", nil, ptr("dana")},
		{"tags that the trust policy does not allow", "plain", "sts:TagSession", tags, nil},
		{"a source identity that the trust policy does not allow", "plain", "sts:SetSourceIdentity", nil, ptr("dana")},
	} {
		in := &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::111111111111:role/" + test.role), RoleSessionName: ptr("s1"), Tags: test.tags, SourceIdentity: test.source}
		out, err := sts.NewFromConfig(proven).AssumeRole(ctx, in)
		switch {
		case test.refused != "":
			worldtest.WantError(t, err, "AccessDenied", test.refused)
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.source != nil && aws.ToString(out.SourceIdentity) != *test.source:
			t.Errorf("%s: it is %s", test.name, aws.ToString(out.SourceIdentity))
		}
	}
	if _, err := sts.NewFromConfig(p.config).GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: ptr("guest"), Tags: tags}); err != nil {
		t.Errorf("the tags of a federated user, which has no trust policy: %v", err)
	}
}

func TestDevicesAndUsedCodesSurviveARestart(t *testing.T) {
	file := t.TempDir() + "/state.json"
	cfg := func(c *localaws.Config) { c.StateFile = file }
	p := newPhone(t, cfg)
	if err := p.enable(p.code(-1), p.code(0)); err != nil {
		t.Fatal(err)
	}
	state, err := p.server.World().Dump()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(state), `"mfaSteps":{"arn:aws:iam::111111111111:mfa/phones/dana-phone":[`) {
		t.Error("the state does not have the used codes")
	}
	again, err := localaws.New(localaws.Config{Clock: p.clock, StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	creds, err := p.config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.server, p.config = again, with(again, creds.AccessKeyID, creds.SecretAccessKey, "")
	if _, err := p.sessionToken(p.code(0)); err == nil {
		t.Error("a used code is good after a restart")
	}
	if _, err := p.sessionToken(p.code(1)); err != nil {
		t.Error(err)
	}
}
