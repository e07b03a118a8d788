package issuelog_test

import (
	"bytes"
	"encoding/json"
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

// counting counts the bytes that are read of a file.
type counting struct {
	*bytes.Reader
	read int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.read += n
	return n, err
}

// Who asks for the last minutes does not wait for what was handed out in years.
func TestTheEndOfALongFileIsRead(t *testing.T) {
	begin := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	const entries = 20_000
	var text bytes.Buffer
	for i := range entries {
		at := begin.Add(time.Duration(i) * time.Second)
		if i%7 == 0 {
			at = at.Add(-30 * time.Second) // it was written late
		}
		line, err := json.Marshal(issuelog.Entry{Time: at, Address: "orders-prod/reader", Command: strings.Repeat("x", i%300)})
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, '\n'))
		if i == 3 || i == entries-3 {
			text.WriteString("{half a line\n\n")
		}
	}
	whole, broken, err := issuelog.ReadBack(bytes.NewReader(text.Bytes()), int64(text.Len()), time.Time{})
	if len(whole) != entries || broken != 2 || err != nil {
		t.Fatalf("%d entries, %d broken, %v, want %d and 2", len(whole), broken, err, entries)
	}
	for i, since := range []time.Time{begin.Add((entries - 60) * time.Second), begin.Add(entries * time.Hour), begin.Add(entries / 2 * time.Second)} {
		var want []issuelog.Entry
		for _, e := range whole {
			if !e.Time.Before(since) {
				want = append(want, e)
			}
		}
		f := &counting{Reader: bytes.NewReader(text.Bytes())}
		got, _, err := issuelog.ReadBack(f, int64(text.Len()), since)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("since %s: %v (-want +got):\n%s", since, err, diff)
		}
		if most := []int{1 << 20, 1 << 20, text.Len()/2 + 1<<20}[i]; f.read > most {
			t.Errorf("since %s: %d of %d bytes were read, want at most %d", since, f.read, text.Len(), most)
		}
	}
}

// A line longer than what is read at once, and a file without a line's end.
func TestLinesOfAnyLengthAreRead(t *testing.T) {
	line, err := json.Marshal(issuelog.Entry{Time: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Command: strings.Repeat("y", 700_000)})
	if err != nil {
		t.Fatal(err)
	}
	text := append(append(append([]byte("{}\n"), line...), '\n'), line...)
	got, broken, err := issuelog.ReadBack(bytes.NewReader(text), int64(len(text)), time.Time{})
	if len(got) != 3 || broken != 0 || err != nil {
		t.Errorf("%d entries, %d broken, %v, want 3", len(got), broken, err)
	}
}
