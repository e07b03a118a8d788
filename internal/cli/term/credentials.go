package term

import (
	"errors"

	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
)

// None tells why AWS's SDK finds no credentials. Instance metadata is asked last, where
// nothing else has any: how it fails is no reason.
func (s *Streams) None(err error) string {
	if op, ok := errors.AsType[*smithy.OperationError](err); !ok || op.ServiceID != "ec2imds" {
		return awserr.Text(err)
	}
	profile := s.Getenv("AWS_PROFILE")
	if profile == "" {
		profile = "default"
	}
	return "the environment has none, AWS profile " + profile + " neither, and there is no instance role"
}
