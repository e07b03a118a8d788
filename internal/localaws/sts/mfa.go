package sts

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// proven is left by the Prepare of requests whose MFA code was right.
type proven struct{}

func hasProven(c *service.Call) bool {
	_, ok := c.Prepared.(proven)
	return ok
}

func assumeRoleMFA(_ context.Context, c *service.Call, in *sts.AssumeRoleInput) *wire.Error {
	return proveMFA(c, in.SerialNumber, in.TokenCode)
}

func sessionTokenMFA(_ context.Context, c *service.Call, in *sts.GetSessionTokenInput) *wire.Error {
	if e := longTerm(c, "GetSessionToken"); e != nil {
		return e
	}
	return proveMFA(c, in.SerialNumber, in.TokenCode)
}

// proveMFA checks the code of a request that has one, and spends it: whatever
// comes of the request, the code is not good again.
func proveMFA(c *service.Call, serial, code *string) *wire.Error {
	switch {
	case serial == nil && code == nil:
		return nil
	case serial == nil || code == nil:
		return c.Errorf("AccessDenied", "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	c.World.RLock()
	defer c.World.RUnlock()
	device := ownDevice(c, *serial)
	if device == nil {
		return c.Errorf("AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  "+
			"Please verify your MFA serial number is valid and associated with this user.")
	}
	if !c.World.SpendMFACode(c.Account, device, *code) {
		return c.Errorf("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	c.Prepared = proven{}
	return nil
}

// ownDevice is the enabled device with a serial number, if it is the calling
// user's: "the MFA device that is associated with the user who is making the
// call" (API reference, AssumeRole). The World is locked.
func ownDevice(c *service.Call, serial string) *store.MFADevice {
	a, err := arn.Parse(serial)
	if err != nil || a.Type() != "mfa" || a.Account != c.Account || c.Caller.Principal.Kind != authz.User {
		return nil
	}
	device := store.Visible(c.World, c.Account, c.Own().IAM.MFADevice(a.Name()))
	if device == nil || device.User != c.Caller.Principal.ID || device.DeviceARN(c.Account) != a {
		return nil
	}
	return device
}

// mfaContext adds to the condition keys of AssumeRole that its code was right.
// The caller's own keys tell of an MFA of its session otherwise.
func mfaContext(c *service.Call, context map[string][]string) {
	if hasProven(c) {
		context["aws:MultiFactorAuthPresent"] = []string{"true"}
		context["aws:MultiFactorAuthAge"] = []string{"0"}
	}
}

// carriedMFA is when the MFA was that a role session inherits: "The temporary
// security credentials returned by AssumeRole do not include MFA information in
// the context", be a code in the request (IAM user guide, "Secure API access with
// MFA"; Leapp#262); that of a user's session goes with it, from role to role it
// does not.
func carriedMFA(c *service.Call) (at time.Time, ok bool) {
	s := c.Caller.Session
	if s == nil || s.Kind != store.UserSession && s.Kind != store.Console || !s.MFA {
		return time.Time{}, false
	}
	return s.MFAAt, true
}
