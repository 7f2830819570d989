// Package freeport finds ports for servers that tests end and start again at the same address.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Below what Linux (from 32768) and macOS (from 49152) give to outgoing connections by themselves, which could take the port of
// a server that is down.
const first, last = 15000, 32000

// Addresses returns different addresses on 127.0.0.1 that nobody listens on, and that the system gives to nobody by itself.
func Addresses(ctx context.Context, count int) ([]string, error) {
	var addrs []string
	var refused error
	taken := map[string]bool{}
	for range 100 * count {
		if len(addrs) == count {
			return addrs, nil
		}
		addr := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			refused = err
			continue
		}
		_ = listener.Close() // nobody came
		if !taken[addr] {
			taken[addr] = true
			addrs = append(addrs, addr)
		}
	}
	return nil, errors.Join(errors.New("find free ports"), refused)
}
