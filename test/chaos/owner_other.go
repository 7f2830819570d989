//go:build !linux

package chaos

// owns tells whether a process holds a socket. Only linux says so: elsewhere links do not tell their clients apart.
func owns(int, int, int) bool { return false }
