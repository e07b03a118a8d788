package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/stile-aws/stile/arn"
)

// The prefixes of IAM's unique ids and access keys (IAM user guide, "IAM
// identifiers").
const (
	PrefixRole            = "AROA"
	PrefixUser            = "AIDA"
	PrefixGroup           = "AGPA"
	PrefixPolicy          = "ANPA"
	PrefixInstanceProfile = "AIPA"
	PrefixAccessKey       = "AKIA"
	PrefixSessionKey      = "ASIA"
)

// IDs gives out ids, keys and secrets in the forms AWS has. With a seed they
// repeat from run to run as long as they are asked for in the same order. Safe
// for concurrent use.
type IDs struct {
	seed   uint64
	issued *Serial // in State, so that a saved world goes on where it stopped
}

func newIDs(seed uint64, issued *Serial) *IDs { return &IDs{seed: seed, issued: issued} }

// Serial is a counter that is saved. Safe for concurrent use.
type Serial struct{ n atomic.Uint64 }

// MarshalJSON writes the number.
func (s *Serial) MarshalJSON() ([]byte, error) { return strconv.AppendUint(nil, s.n.Load(), 10), nil }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Serial) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseUint(string(data), 10, 64)
	s.n.Store(n)
	return err
}

// Bytes returns n bytes.
func (g *IDs) Bytes(n int) []byte {
	out := make([]byte, 0, n+sha256.Size)
	if g.seed == 0 {
		out = out[:n]
		rand.Read(out)
		return out
	}
	serial := g.issued.n.Add(1)
	var block [24]byte
	binary.BigEndian.PutUint64(block[:], g.seed)
	binary.BigEndian.PutUint64(block[8:], serial)
	for i := uint64(0); len(out) < n; i++ {
		binary.BigEndian.PutUint64(block[16:], i)
		sum := sha256.Sum256(block[:])
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// Unique is an IAM unique id: the prefix and 17 letters or digits.
func (g *IDs) Unique(prefix string) string {
	return prefix + base32.StdEncoding.EncodeToString(g.Bytes(15))[:17]
}

// AccessKey is an access key id. Like AWS's it carries the account's id, which
// is what GetAccessKeyInfo reads from it: bits 1 to 41 of the 16 letters after the prefix.
func (g *IDs) AccessKey(prefix string, account arn.AccountID) string {
	n, err := strconv.ParseUint(string(account), 10, 40)
	if err != nil {
		n = 0
	}
	raw := g.Bytes(10)
	head := uint64(1)<<47 | n<<7 | uint64(raw[5]&0x7f)
	for i := range 6 {
		raw[i] = byte(head >> (8 * (5 - i)))
	}
	return prefix + base32.StdEncoding.EncodeToString(raw)
}

// AccountOfKey reads the account's id from an access key id.
func AccountOfKey(id string) (arn.AccountID, bool) {
	if len(id) != 20 {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	head := uint64(0)
	for _, b := range raw[:6] {
		head = head<<8 | uint64(b)
	}
	digits := strconv.FormatUint(head>>7&(1<<40-1), 10)
	if len(digits) > 12 {
		return "", false
	}
	return arn.AccountID(strings.Repeat("0", 12-len(digits)) + digits), true
}

// Secret is a secret access key of 40 characters.
func (g *IDs) Secret() string { return base64.StdEncoding.EncodeToString(g.Bytes(30)) }

// UUID is a random UUID (version 4).
func (g *IDs) UUID() string {
	b := g.Bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Hex is n lower-case hexadecimal digits.
func (g *IDs) Hex(n int) string { return hex.EncodeToString(g.Bytes((n + 1) / 2))[:n] }

// Lower is n lower-case letters and digits, as organizations' and OUs' ids have.
func (g *IDs) Lower(n int) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	return g.pick(alphabet, n)
}

// Mixed is n letters of both cases, as the suffix of secrets' ARNs has.
func (g *IDs) Mixed(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return g.pick(alphabet, n)
}

func (g *IDs) pick(alphabet string, n int) string {
	b := g.Bytes(n)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}
