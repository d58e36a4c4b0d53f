package traefiktest

import "syscall"

// childAttributes keep a terminal's Ctrl-C from the child, so that its parent
// ends it in order, and end it with its parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
