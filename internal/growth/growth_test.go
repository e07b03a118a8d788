package growth_test

import (
	"fmt"
	"testing"

	"github.com/stile-aws/stile/internal/growth"
)

// verdict keeps what Check says.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) { v.said = fmt.Sprintf(format, args...) }

// steps does n steps of work.
func steps(n int) (sum int) {
	for i := range n {
		sum = sum*31 + i
	}
	return sum
}

func TestCheckTellsQuadraticFromLinear(t *testing.T) {
	results := make(chan int, 1)
	for _, test := range []struct {
		name  string
		work  func(n int) int
		fails bool
	}{
		{"linear", func(n int) int { return steps(1000 * n) }, false},
		{"quadratic", func(n int) int { return steps(n * n) }, true},
		{"nothing", func(int) int { return 0 }, false},
	} {
		var v verdict
		growth.Check(&v, 300, func(n int) func() {
			return func() {
				results <- test.work(n)
				<-results
			}
		})
		if (v.said != "") != test.fails {
			t.Errorf("%s: Check says %q", test.name, v.said)
		}
	}
}
