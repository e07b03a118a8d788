package lint_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/lint/rule"
)

func lookAtInventory(t *testing.T, p *rulePage, src []byte) rule.List { return nil }
