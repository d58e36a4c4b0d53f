// Package freeport finds ports of the loopback for the servers that tests start.
package freeport

import (
	"errors"
	"math/rand"
	"net"
	"strconv"
	"sync"
)

// The ports are below those that systems choose for outgoing connections (from 32768 on
// Linux, from 49152 by RFC 6335), so that no connection takes one before the server
// listens at it, or while it is restarted.
const first, count = 15000, 17000

// attempts bounds the search of one call.
const attempts = 1000

var given = struct {
	mu    sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// Get returns a port at which nothing listens. It returns each port once.
func Get() (int, error) {
	return Run(1)
}

// Run returns the first of n consecutive ports at which nothing listens. It returns each
// port once.
func Run(n int) (int, error) {
	given.mu.Lock()
	defer given.mu.Unlock()
	for i := 0; i < attempts; i++ {
		port := first + rand.Intn(count-n+1)
		if free(port, n) {
			for p := port; p < port+n; p++ {
				given.ports[p] = true
			}
			return port, nil
		}
	}
	return 0, errors.New("freeport: no free port of the loopback was found")
}

// Address returns the address of a port from Get.
func Address() (string, error) {
	port, err := Get()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

func free(port, n int) bool {
	for p := port; p < port+n; p++ {
		if given.ports[p] {
			return false
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
