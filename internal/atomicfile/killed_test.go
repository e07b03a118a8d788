package atomicfile_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/atomicfile"
)

// writeEnv makes the test binary a process that writes a file again and again.
const writeEnv = "ATOMICFILE_TEST_WRITE"

func TestMain(m *testing.M) {
	if path := os.Getenv(writeEnv); path != "" {
		for i := 0; ; i++ {
			fmt.Println("writing") // somebody kills us while they read
			if err := atomicfile.Write(path, []byte(version(i))); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// version is the i-th text, of a length of its own.
func version(i int) string {
	return strings.Repeat(string(rune('a'+i%26)), 1<<12+i%26)
}

func TestKilledWhileItIsWrittenAFileIsOldOrNew(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]bool{}
	for i := range 26 {
		whole[version(i)] = true
	}
	path := filepath.Join(t.TempDir(), "file")
	for n := range 40 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), writeEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; i <= n+1 && lines.Scan(); i++ {
			if lines.Text() != "writing" {
				t.Fatal(lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if text, err := os.ReadFile(path); err != nil || !whole[string(text)] {
			t.Fatalf("killed after %d times: %v, %d bytes that are no version", n+1, err, len(text))
		}
	}
}
