//go:build !linux

package redistest

import (
	"os/exec"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

func own(p *exec.Cmd, started chan<- error, ended chan<- struct{}) { run(p, started, ended) }
