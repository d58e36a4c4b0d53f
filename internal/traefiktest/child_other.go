//go:build !linux

package traefiktest

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
