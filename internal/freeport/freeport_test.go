package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestPortsAreFreeAndDiffer(t *testing.T) {
	seen := map[int]bool{}
	for i := 0; i < 200; i++ {
		port, err := Run(2)
		if err != nil {
			t.Fatal(err)
		}
		for p := port; p < port+2; p++ {
			if seen[p] || p < first || p >= first+count {
				t.Errorf("port %d", p)
			}
			seen[p] = true
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if free(l.Addr().(*net.TCPAddr).Port, 1) {
		t.Error("a port at which a server listens is free")
	}
	address, err := Address()
	if err != nil {
		t.Fatal(err)
	}
	if _, port, _ := net.SplitHostPort(address); port < strconv.Itoa(first) {
		t.Error(address)
	}
}
