package issuelog_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/issuelog"
)

// writerEnv makes the test binary a process that writes many entries.
const writerEnv = "ISSUELOG_TEST_WRITER"

const perWriter = 200

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		for i := range perWriter {
			e := issuelog.Entry{Time: time.Now(), Address: os.Args[1] + "/" + strconv.Itoa(i), AccessKeyID: "ASIA", Process: issuelog.Self()}
			if err := issuelog.AppendTo(dir, e, 20_000); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEntriesComeBackInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stile")
	begin := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	var want []issuelog.Entry
	for i := range 3 {
		e := issuelog.Entry{
			Time: begin.Add(time.Duration(i) * time.Hour), Address: "orders-prod/reader", Account: "222222222222", Role: "arn:aws:iam::222222222222:role/reader",
			Expires: begin.Add(5 * time.Hour), AccessKeyID: "ASIAEXAMPLE", Delivery: "exec", Process: issuelog.Process{PID: 7, UID: 1, Dir: "/x"},
		}
		want = append(want, e)
	}
	for _, i := range []int{2, 0, 1} {
		if err := issuelog.Append(dir, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	got, broken, err := issuelog.Read(dir, time.Time{})
	if diff := cmp.Diff(want, got); diff != "" || broken != 0 || err != nil {
		t.Errorf("Read: %d broken, %v (-want +got):\n%s", broken, err, diff)
	}
	if got, _, _ := issuelog.Read(dir, begin.Add(time.Hour)); len(got) != 2 {
		t.Errorf("Read since the second: %d, want 2", len(got))
	}
	info, err := os.Stat(filepath.Join(dir, "issued.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestNothingWasHandedOut(t *testing.T) {
	got, broken, err := issuelog.Read(filepath.Join(t.TempDir(), "none"), time.Time{})
	if len(got) != 0 || broken != 0 || err != nil {
		t.Errorf("Read = %v, %d, %v, want nothing", got, broken, err)
	}
}

// A disk that was full leaves half a line; the next entry is not lost with it.
func TestHalfALineSpoilsNoOther(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "issued.jsonl"), []byte(`{"time":"2026-11-2`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := issuelog.Append(dir, issuelog.Entry{Time: time.Now(), AccessKeyID: "ASIA"}); err != nil {
		t.Fatal(err)
	}
	got, broken, err := issuelog.Read(dir, time.Time{})
	if len(got) != 1 || broken != 1 || err != nil {
		t.Errorf("Read = %v, %d broken, %v, want one entry and one broken line", got, broken, err)
	}
}

// Many processes write while files are moved away: no line is lost, none is mixed.
func TestNoLineIsLostWhenFilesAreMoved(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const writers = 6
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, fmt.Sprintf("w%d", w))
			cmd.Env = append(os.Environ(), writerEnv+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("writer: %v: %s", err, out)
			}
		})
	}
	wg.Wait()
	got, broken, err := issuelog.Read(dir, time.Time{})
	if err != nil || broken != 0 {
		t.Fatalf("Read: %d broken, %v", broken, err)
	}
	seen := map[string]bool{}
	for _, e := range got {
		seen[e.Address] = true
	}
	if len(got) != writers*perWriter || len(seen) != writers*perWriter {
		t.Errorf("%d entries, %d different, want %d", len(got), len(seen), writers*perWriter)
	}
	files, err := filepath.Glob(filepath.Join(dir, "issued-*.jsonl"))
	if err != nil || len(files) < 2 {
		t.Errorf("files %v, %v: want some moved away", files, err)
	}
}

func TestWhatCannotBeWrittenIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := issuelog.Append(file, issuelog.Entry{})
	if err == nil || !strings.Contains(err.Error(), "writing the log of issued credentials") {
		t.Errorf("Append below a file: %v", err)
	}
}

func TestSelfKnowsItsParents(t *testing.T) {
	p := issuelog.Self()
	if p.PID != os.Getpid() || p.Dir == "" || len(p.Parents) == 0 || p.Parents[0].PID != os.Getppid() {
		t.Errorf("Self = %+v", p)
	}
}
