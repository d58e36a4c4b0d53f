package e2e

import (
	"os/exec"
	"syscall"
)

// group makes a command the first of a process group: Chromium starts others.
func group() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
