package store

import (
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/totp"
)

// MFADevice is a virtual MFA device.
type MFADevice struct {
	Name    string    `json:"name"`
	Path    string    `json:"path"`
	Seed    []byte    `json:"seed"`
	User    string    `json:"user,omitempty"` // unique id of who has it; "" until it is enabled
	Enabled time.Time `json:"enabled,omitzero"`
	// Drift is how many steps the device's clock is ahead of ours, found when it
	// was synchronized.
	Drift   int64     `json:"drift,omitempty"`
	Tags    Tags      `json:"tags,omitempty"`
	Created time.Time `json:"created"`
}

// DeviceARN is the device's serial number in account.
func (d *MFADevice) DeviceARN(account arn.AccountID) arn.ARN {
	return arn.IAM(Partition, account, "mfa", d.Path, d.Name)
}

// MFADevice returns the versions of a device, nil when there never was one.
func (i *IAM) MFADevice(name string) *Versioned[MFADevice] {
	return i.MFADevices[strings.ToLower(name)]
}

// The steps around the device's own in which a code counts: one to either side,
// and further when it is synchronized, where two codes in a row are asked for.
const (
	mfaWindow  = 1
	syncWindow = 20
)

// keepSteps bounds the used steps remembered of a device: more than can be
// in its windows at a time.
const keepSteps = 16

// mfaSteps are the steps that now may be in: by our clock, and by the
// computer's, which the devices of people go by, where ours was moved ahead.
// The caller holds the World's lock.
func (w *World) mfaSteps(d *MFADevice) []int64 {
	now, ahead := w.Now(), w.Offset
	steps := []int64{totp.StepAt(now) + d.Drift}
	if ahead != 0 {
		steps = append(steps, totp.StepAt(now.Add(-ahead))+d.Drift)
	}
	return steps
}

// SpendMFACode reports whether a code is the device's now, and that nobody used
// it before; from then on it is used (RFC 6238, section 5.2). The caller
// holds the World's lock, for reading or writing.
func (w *World) SpendMFACode(account arn.AccountID, d *MFADevice, code string) bool {
	for _, step := range w.mfaSteps(d) {
		for at := step - mfaWindow; at <= step+mfaWindow; at++ {
			if totp.Is(d.Seed, at, code) {
				return w.spendStep(d.DeviceARN(account).String(), at)
			}
		}
	}
	return false
}

// SyncMFACodes looks for two codes in a row and returns the device's drift by
// them; both are used then. wide looks further than the window of a code.
func (w *World) SyncMFACodes(account arn.AccountID, d *MFADevice, first, second string, wide bool) (drift int64, ok bool) {
	window := int64(mfaWindow)
	if wide {
		window = syncWindow
	}
	serial := d.DeviceARN(account).String()
	for _, step := range w.mfaSteps(d) {
		for at := step - window - 1; at <= step+window; at++ {
			if !totp.Is(d.Seed, at, first) || !totp.Is(d.Seed, at+1, second) {
				continue
			}
			if !w.spendStep(serial, at) || !w.spendStep(serial, at+1) {
				return 0, false
			}
			if !wide {
				return d.Drift, true
			}
			return d.Drift + at + 1 - step, true
		}
	}
	return 0, false
}

func (w *World) spendStep(serial string, step int64) bool {
	w.usedMu.Lock()
	defer w.usedMu.Unlock()
	used := w.MFASteps[serial]
	if slices.Contains(used, step) {
		return false
	}
	used = append(used, step)
	w.MFASteps[serial] = used[max(0, len(used)-keepSteps):]
	return true
}

// ForgetMFASteps forgets which codes of a device were used, for a new device
// may have its name.
func (w *World) ForgetMFASteps(serial string) {
	w.usedMu.Lock()
	defer w.usedMu.Unlock()
	delete(w.MFASteps, serial)
}
