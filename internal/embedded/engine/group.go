package engine

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the child in a process group of its own, so that a Ctrl-C at the terminal reaches only the parent, which
// ends the child in its turn. (The kernel's own "die with the parent" is tied to the thread that started the child,
// which Go may end at any time; the lifeline has no such trap and works everywhere.)
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
