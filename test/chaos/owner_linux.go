package chaos

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// owns tells whether a process holds the socket that is connected from one port of 127.0.0.1 to another.
func owns(pid, from, to int) bool {
	inode := socketOf(from, to)
	if inode == "" {
		return false
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// socketOf returns the inode of the socket that is connected from one port of 127.0.0.1 to another, empty if there is none.
func socketOf(from, to int) string {
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer table.Close()
	local, remote := fmt.Sprintf("0100007F:%04X", from), fmt.Sprintf("0100007F:%04X", to)
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// sl local remote state queues timer retransmits uid timeout inode
		if words := strings.Fields(lines.Text()); len(words) > 9 && words[1] == local && words[2] == remote {
			return words[9]
		}
	}
	return ""
}
