package traefiktest

import "syscall"

// childAttributes put the child into a process group of its own, so that Ctrl-C in a
// terminal does not reach it and its parent can stop it. They kill the child when its
// parent dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
