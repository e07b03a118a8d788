package issuelog_test

import (
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/issuelog"
)

// What a cached `stile credential-process` pays for being logged.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		e := issuelog.Entry{Time: time.Now(), Address: "orders-prod/reader", Account: "222222222222", AccessKeyID: "ASIAEXAMPLE", Process: issuelog.Self()}
		if err := issuelog.Append(dir, e); err != nil {
			b.Fatal(err)
		}
	}
}
