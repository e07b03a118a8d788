package issuelog

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// maxParents bounds how far up is looked.
const maxParents = 16

// Self describes this process. What the system does not tell is left out.
func Self() Process {
	p := Process{PID: os.Getpid(), UID: os.Getuid()}
	p.Dir, _ = os.Getwd()
	for pid := os.Getppid(); pid > 0 && len(p.Parents) < maxParents; {
		name, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) // another user's process does not tell
		p.Parents = append(p.Parents, Ancestor{PID: pid, Name: name})
		parent, ok := parentOf(pid)
		if !ok {
			break
		}
		pid = parent
	}
	return p
}

// parentOf reads field 4 of /proc/PID/stat (proc_pid_stat(5)). The program's
// name before it is in parentheses and may hold anything.
func parentOf(pid int) (int, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
