package redistest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// childAttributes keep a terminal's Ctrl-C from the child, and end it with its
// parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// own runs p from a thread that lives as long as p. The kernel ends a child with
// the thread that started it, and so also with this process.
func own(p *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	run(p, started, ended)
}
