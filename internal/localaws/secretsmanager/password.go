package secretsmanager

import (
	"crypto/rand"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const (
	lowercase   = "abcdefghijklmnopqrstuvwxyz"
	uppercase   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numbers     = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

func getRandomPassword(c *service.Call, in *secretsmanager.GetRandomPasswordInput) (*secretsmanager.GetRandomPasswordOutput, *wire.Error) {
	if e := c.Require(gate.Access{Action: "secretsmanager:GetRandomPassword", Resource: "*", Account: c.Account}); e != nil {
		return nil, e
	}
	length := 32
	if in.PasswordLength != nil {
		length = int(*in.PasswordLength)
	}
	classes := passwordClasses(in)
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	switch {
	case len(classes) == 0:
		return nil, c.Errorf("InvalidParameterException", "You excluded all characters that a password could have.")
	case each && length < len(classes):
		return nil, c.Errorf("InvalidParameterException", "PasswordLength %d is too short to have one character of each included type.", length)
	}
	return &secretsmanager.GetRandomPasswordOutput{RandomPassword: aws.String(password(classes, length, each))}, nil
}

// passwordClasses are the sets of characters to draw from.
func passwordClasses(in *secretsmanager.GetRandomPasswordInput) []string {
	all := []struct {
		out   bool
		chars string
	}{
		{aws.ToBool(in.ExcludeLowercase), lowercase},
		{aws.ToBool(in.ExcludeUppercase), uppercase},
		{aws.ToBool(in.ExcludeNumbers), numbers},
		{aws.ToBool(in.ExcludePunctuation), punctuation},
		{!aws.ToBool(in.IncludeSpace), " "},
	}
	var classes []string
	for _, class := range all {
		chars := strings.Map(func(r rune) rune {
			if strings.ContainsRune(aws.ToString(in.ExcludeCharacters), r) {
				return -1
			}
			return r
		}, class.chars)
		if !class.out && chars != "" {
			classes = append(classes, chars)
		}
	}
	return classes
}

// password draws until, where that is wanted, every class has had its turn.
func password(classes []string, length int, each bool) string {
	all := strings.Join(classes, "")
	chars := make([]byte, length)
	for i := range chars {
		from := all
		if each && i < len(classes) {
			from = classes[i]
		}
		chars[i] = from[pick(len(from))]
	}
	for i := range chars { // shuffle
		j := i + pick(len(chars)-i)
		chars[i], chars[j] = chars[j], chars[i]
	}
	return string(chars)
}

func pick(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("secretsmanager: reading random numbers: " + err.Error())
	}
	return int(i.Int64())
}
