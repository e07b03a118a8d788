package use

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/atomicfile"
)

// processEnv tells use the shell's process, as the function has it.
const processEnv = "STILE_PID"

// shellsDir is where it is remembered which profiles shells use: a file for each
// shell, named for its process. They keep profiles from being taken out, no more;
// what cannot be read is passed over.
type shellsDir string

// shellRecord is what a file says.
type shellRecord struct {
	Host     string   `json:"host"`              // a home directory may be that of several computers
	Started  string   `json:"started,omitempty"` // tells the process from a later one of its number
	Profiles []string `json:"profiles"`          // the last first
}

// profilesOfShell is how many profiles of a shell count: the one in use, and the
// one before, to which stile use - goes back, and which a subshell may have left.
const profilesOfShell = 2

// otherHosts is how long the shells of another computer count, of which nobody
// here knows whether they run.
const otherHosts = 7 * 24 * time.Hour

// note remembers that a shell uses a profile.
func (d shellsDir) note(pid int, profile string) error {
	r := shellRecord{Started: started(pid)}
	r.Host, _ = os.Hostname() // without a name all are one
	path := filepath.Join(string(d), strconv.Itoa(pid))
	if before, ok := readShell(path); ok && before.Host == r.Host && before.Started == r.Started {
		r.Profiles = slices.DeleteFunc(before.Profiles, func(name string) bool { return name == profile })
	}
	r.Profiles = append([]string{profile}, r.Profiles...)
	r.Profiles = r.Profiles[:min(len(r.Profiles), profilesOfShell)]
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, text); err != nil {
		return fmt.Errorf("remembering the profile of this shell: %w", err)
	}
	return nil
}

// live adds the profiles of shells that run, and forgets shells that do not.
func (d shellsDir) live(to map[string]bool) {
	host, _ := os.Hostname()
	files, _ := os.ReadDir(string(d))
	for _, f := range files {
		pid, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		path := filepath.Join(string(d), f.Name())
		r, ok := readShell(path)
		info, err := f.Info()
		switch {
		case ok && r.Host == host && runs(pid, r.Started), ok && r.Host != host && err == nil && time.Since(info.ModTime()) < otherHosts:
			for _, name := range r.Profiles {
				to[name] = true
			}
		default:
			_ = os.Remove(path) // another process may have
		}
	}
}

func readShell(path string) (shellRecord, bool) {
	var r shellRecord
	text, err := os.ReadFile(path)
	return r, err == nil && json.Unmarshal(text, &r) == nil
}

// runs reports that the process that started then still runs. Another user's counts
// as well: its number was reused, and a profile too many harms nobody.
func runs(pid int, then string) bool {
	err := syscall.Kill(pid, 0)
	return (err == nil || errors.Is(err, syscall.EPERM)) && started(pid) == then
}

// started reads field 22 of /proc/PID/stat (proc_pid_stat(5)), the time at which a
// process started; "" where the system has no such file. The program's name before
// it is in parentheses and may hold anything.
func started(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19])
}

// inherited adds the profiles that this user's processes were started with, where
// the system tells: those of shells and programs below a shell that has gone.
func inherited(to map[string]bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil { // another's, or it has ended
			continue
		}
		for v := range bytes.SplitSeq(text, []byte{0}) {
			if name, ok := strings.CutPrefix(string(v), "AWS_PROFILE="); ok {
				to[name] = true
			}
		}
	}
}
