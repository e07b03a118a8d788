package iam

import (
	"encoding/base32"
	"encoding/base64"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// seedSize is how long seeds are: Base32StringSeed has 64 characters.
const seedSize = 40

// blankPNG is one white pixel. There is nobody here with a camera: programs read
// the seed.
const blankPNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="

func registerMFA(s *service.Service) {
	service.Register(s, "CreateVirtualMFADevice", service.Op[iam.CreateVirtualMFADeviceInput, iam.CreateVirtualMFADeviceOutput]{
		Access: createMFAAccess, Handle: createMFA,
	})
	service.Register(s, "DeleteVirtualMFADevice", writer(named(func(in *iam.DeleteVirtualMFADeviceInput) *string { return in.SerialNumber }),
		"DeleteVirtualMFADevice", deleteMFA))
	service.Register(s, "ListVirtualMFADevices", reader(anywhere[iam.ListVirtualMFADevicesInput], "ListVirtualMFADevices", listVirtualMFA))
	service.Register(s, "EnableMFADevice", writer(on(users, func(in *iam.EnableMFADeviceInput) *string { return in.UserName }), "EnableMFADevice", enableMFA))
	service.Register(s, "DeactivateMFADevice", writer(orCaller(func(in *iam.DeactivateMFADeviceInput) *string { return in.UserName }),
		"DeactivateMFADevice", deactivateMFA))
	service.Register(s, "ResyncMFADevice", writer(on(users, func(in *iam.ResyncMFADeviceInput) *string { return in.UserName }), "ResyncMFADevice", resyncMFA))
	service.Register(s, "ListMFADevices", reader(orCaller(func(in *iam.ListMFADevicesInput) *string { return in.UserName }), "ListMFADevices", listMFA))
	service.Register(s, "GetMFADevice", reader(orCaller(func(in *iam.GetMFADeviceInput) *string { return in.UserName }), "GetMFADevice", getMFA))
}

func createMFAAccess(c *service.Call, in *iam.CreateVirtualMFADeviceInput) ([]gate.Access, *wire.Error) {
	resource := arn.IAM(store.Partition, c.Account, "mfa", pathOf(in.Path), aws.ToString(in.VirtualMFADeviceName)).String()
	return creating("iam:CreateVirtualMFADevice", "iam:TagMFADevice", resource, requested(in.Tags), ""), nil
}

func createMFA(c *service.Call, in *iam.CreateVirtualMFADeviceInput) (*iam.CreateVirtualMFADeviceOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.VirtualMFADeviceName)
	if own.MFADevice(name).Latest() != nil {
		return nil, alreadyExists(c, "MFADevice entity at the same path and name already exists.")
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	device := &store.MFADevice{Name: name, Path: pathOf(in.Path), Seed: c.World.IDs().Bytes(seedSize), Tags: tags, Created: c.Now}
	put(own.MFADevices, name, c.Now, device)
	c.World.ForgetMFASteps(device.DeviceARN(c.Account).String())
	picture, err := base64.StdEncoding.DecodeString(blankPNG)
	if err != nil {
		return nil, c.Errorf("ServiceFailureException", "making the QR code: %v", err)
	}
	return &iam.CreateVirtualMFADeviceOutput{VirtualMFADevice: &types.VirtualMFADevice{
		SerialNumber:     aws.String(device.DeviceARN(c.Account).String()),
		Base32StringSeed: []byte(base32.StdEncoding.EncodeToString(device.Seed)), QRCodePNG: picture, Tags: optional(tags),
	}}, nil
}

// findMFA is the virtual device with a serial number.
func findMFA(c *service.Call, serial *string) (*store.Versioned[store.MFADevice], *store.MFADevice, *wire.Error) {
	a, err := arn.Parse(aws.ToString(serial))
	if err == nil && a.Type() == "mfa" && a.Account == c.Account {
		v := c.Own().IAM.MFADevice(a.Name())
		if d := v.Latest(); d != nil && d.DeviceARN(c.Account) == a {
			return v, d, nil
		}
	}
	return nil, nil, noSuchEntity(c, "VirtualMFADevice with serial number %s doesn't exist.", aws.ToString(serial))
}

// findUsersMFA is the device with a serial number that a user has.
func findUsersMFA(c *service.Call, user *store.User, serial *string) (*store.Versioned[store.MFADevice], *store.MFADevice, *wire.Error) {
	v, d, e := findMFA(c, serial)
	if e != nil || d.User != user.ID {
		return nil, nil, noSuchEntity(c, "MFA Device invalid for user.")
	}
	return v, d, nil
}

func badCode(c *service.Call) *wire.Error {
	return c.Errorf("InvalidAuthenticationCodeException", "Authentication code for device is not valid.")
}

// devicesOf are the devices that a user has.
func devicesOf(c *service.Call, user *store.User) []*store.MFADevice {
	return slices.DeleteFunc(live(c.Own().IAM.MFADevices), func(d *store.MFADevice) bool { return d.User != user.ID })
}

// enableMFA gives a user a device, which proves itself by two codes in a row.
func enableMFA(c *service.Call, in *iam.EnableMFADeviceInput) (*iam.EnableMFADeviceOutput, *wire.Error) {
	user, e := findUser(c, *in.UserName)
	if e != nil {
		return nil, e
	}
	v, device, e := findMFA(c, in.SerialNumber)
	if e != nil {
		return nil, e
	}
	if device.User != "" {
		return nil, alreadyExists(c, "MFA Device is already in use.")
	}
	if limit := quotaMFAPerUser.of(c); len(devicesOf(c, user)) >= limit {
		return nil, limitExceeded(c, "MfaDevicesPerUser", limit)
	}
	if _, ok := c.World.SyncMFACodes(c.Account, device, *in.AuthenticationCode1, *in.AuthenticationCode2, false); !ok {
		return nil, badCode(c)
	}
	v.Edit(c.Now, func(d *store.MFADevice) { d.User, d.Enabled = user.ID, c.Now })
	return nil, nil
}

func deactivateMFA(c *service.Call, in *iam.DeactivateMFADeviceInput) (*iam.DeactivateMFADeviceOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	v, _, e := findUsersMFA(c, user, in.SerialNumber)
	if e != nil {
		return nil, e
	}
	v.Edit(c.Now, func(d *store.MFADevice) { d.User, d.Enabled, d.Drift = "", time.Time{}, 0 })
	return nil, nil
}

func deleteMFA(c *service.Call, in *iam.DeleteVirtualMFADeviceInput) (*iam.DeleteVirtualMFADeviceOutput, *wire.Error) {
	v, device, e := findMFA(c, in.SerialNumber)
	if e != nil {
		return nil, e
	}
	if device.User != "" {
		return nil, deleteConflict(c, "MFA VirtualDevice in use. Must deactivate first.")
	}
	v.Put(c.Now, nil)
	return nil, nil
}

// resyncMFA finds how far the device's clock is off, by two codes in a row.
func resyncMFA(c *service.Call, in *iam.ResyncMFADeviceInput) (*iam.ResyncMFADeviceOutput, *wire.Error) {
	user, e := findUser(c, *in.UserName)
	if e != nil {
		return nil, e
	}
	v, device, e := findUsersMFA(c, user, in.SerialNumber)
	if e != nil {
		return nil, e
	}
	drift, ok := c.World.SyncMFACodes(c.Account, device, *in.AuthenticationCode1, *in.AuthenticationCode2, true)
	if !ok {
		return nil, badCode(c)
	}
	v.Edit(c.Now, func(d *store.MFADevice) { d.Drift = drift })
	return nil, nil
}

func serialOf(c *service.Call) func(*store.MFADevice) string {
	return func(d *store.MFADevice) string { return d.DeviceARN(c.Account).String() }
}

func listMFA(c *service.Call, in *iam.ListMFADevicesInput) (*iam.ListMFADevicesOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	p, e := page(c, in.Marker, in.MaxItems, devicesOf(c, user), serialOf(c))
	if e != nil {
		return nil, e
	}
	out := &iam.ListMFADevicesOutput{MFADevices: []types.MFADevice{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, d := range p.items {
		out.MFADevices = append(out.MFADevices, types.MFADevice{
			SerialNumber: aws.String(serialOf(c)(d)), UserName: aws.String(user.Name), EnableDate: at(d.Enabled),
		})
	}
	return out, nil
}

func getMFA(c *service.Call, in *iam.GetMFADeviceInput) (*iam.GetMFADeviceOutput, *wire.Error) {
	user, e := callingUser(c, in.UserName)
	if e != nil {
		return nil, e
	}
	_, device, e := findUsersMFA(c, user, in.SerialNumber)
	if e != nil {
		return nil, e
	}
	return &iam.GetMFADeviceOutput{SerialNumber: in.SerialNumber, UserName: aws.String(user.Name), EnableDate: at(device.Enabled)}, nil
}

// listVirtualMFA does not tell tags (API reference, ListVirtualMFADevices).
func listVirtualMFA(c *service.Call, in *iam.ListVirtualMFADevicesInput) (*iam.ListVirtualMFADevicesOutput, *wire.Error) {
	all := slices.DeleteFunc(live(c.Own().IAM.MFADevices), func(d *store.MFADevice) bool {
		return in.AssignmentStatus == types.AssignmentStatusTypeAssigned && d.User == "" ||
			in.AssignmentStatus == types.AssignmentStatusTypeUnassigned && d.User != ""
	})
	p, e := page(c, in.Marker, in.MaxItems, all, serialOf(c))
	if e != nil {
		return nil, e
	}
	out := &iam.ListVirtualMFADevicesOutput{VirtualMFADevices: []types.VirtualMFADevice{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, d := range p.items {
		shown := types.VirtualMFADevice{SerialNumber: aws.String(serialOf(c)(d))}
		if user, _ := c.World.UserByID(d.User, c.Now); user != nil {
			shown.EnableDate = at(d.Enabled)
			shown.User = &types.User{
				Arn: aws.String(user.UserARN(c.Account).String()), UserName: aws.String(user.Name), UserId: aws.String(user.ID),
				Path: aws.String(user.Path), CreateDate: at(user.Created),
			}
		}
		out.VirtualMFADevices = append(out.VirtualMFADevices, shown)
	}
	return out, nil
}

func registerMFATags(s *service.Service) {
	ops := tagOps[iam.TagMFADeviceInput, iam.UntagMFADeviceInput, iam.ListMFADeviceTagsInput]{
		record: func(c *service.Call, ref string) (tagged, *wire.Error) {
			v, d, e := findMFA(c, &ref)
			if e != nil {
				return tagged{}, e
			}
			return tagged{ref, d.Tags, func(t store.Tags) { v.Edit(c.Now, func(d *store.MFADevice) { d.Tags = t }) }}, nil
		},
		resource: func(_ *service.Call, ref string) string { return ref },
		tag:      func(in *iam.TagMFADeviceInput) (*string, []types.Tag) { return in.SerialNumber, in.Tags },
		untag:    func(in *iam.UntagMFADeviceInput) (*string, []string) { return in.SerialNumber, in.TagKeys },
		list: func(in *iam.ListMFADeviceTagsInput) (*string, *string, *int32) {
			return in.SerialNumber, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagMFADevice", tagging[iam.TagMFADeviceInput, iam.UntagMFADeviceInput, iam.ListMFADeviceTagsInput, iam.TagMFADeviceOutput](ops, "TagMFADevice"))
	service.Register(s, "UntagMFADevice", untagging[iam.TagMFADeviceInput, iam.UntagMFADeviceInput, iam.ListMFADeviceTagsInput, iam.UntagMFADeviceOutput](ops, "UntagMFADevice"))
	service.Register(s, "ListMFADeviceTags", listing(ops, "ListMFADeviceTags", func(p marked[types.Tag]) *iam.ListMFADeviceTagsOutput {
		return &iam.ListMFADeviceTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
}
