package oidc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// reservedBlocks repeats the blocks of the IANA registries: special purpose IPv4,
// special purpose IPv6, and the blocks of the address space registries that are
// multicast or not assigned.
const reservedBlocks = `
	0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
	192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
	192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
	255.255.255.255/32
	::1/128 ::/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128
	2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32
	2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10
	224.0.0.0/4 ff00::/8 fec0::/10 ::/96 ::ffff:0:0:0/96 ::/3 4000::/2 8000::/1
	168.63.129.16/32`

// The first and the last address of each block are special. Its neighbours outside are
// public unless they are in another block.
func TestSpecialAddresses(t *testing.T) {
	blocks := parsePrefixes(strings.ReplaceAll(reservedBlocks, " ", "\n"))
	special := func(ip netip.Addr) bool {
		for _, b := range blocks {
			if b.Contains(ip) {
				return true
			}
		}
		return false
	}
	neighbours := 0
	for _, b := range blocks {
		t.Run("L20 D6 "+b.String(), func(t *testing.T) {
			first, last := b.Masked().Addr(), lastOf(b)
			checkPublic(t, first, false)
			checkPublic(t, last, false)
			for _, ip := range []netip.Addr{first.Prev(), last.Next()} {
				if ip.IsValid() && !ip.Is4In6() && !special(ip) {
					neighbours++
					checkPublic(t, ip, true)
				}
			}
			if first.Is4() {
				checkPublic(t, netip.AddrFrom16(first.As16()), false)
				checkPublic(t, netip.AddrFrom16(last.As16()), false)
			}
		})
	}
	if neighbours < 40 {
		t.Errorf("only %d neighbours are public", neighbours)
	}
}

// lastOf returns the last address of a block.
func lastOf(b netip.Prefix) netip.Addr {
	bytes := b.Masked().Addr().AsSlice()
	for i := b.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

func checkPublic(t *testing.T, ip netip.Addr, want bool) {
	t.Helper()
	if got := isPublic(ip); got != want {
		t.Errorf("L20 D6 %s: public %v", ip, got)
	}
}

func TestPublicAddresses(t *testing.T) {
	for _, row := range []struct {
		name   string
		ips    string
		public bool
	}{
		{"L20 D6 public ones", "1.1.1.1 93.184.216.34 2606:2800:220:1::1 2a00:1450:4001:800::200e ::ffff:1.1.1.1 2001:200:: 2003:: 3fff:1000::", true},
		{"L20 D6 metadata of clouds", "169.254.169.254 168.63.129.16 100.100.100.200 192.0.0.192 fd00:ec2::254 fd20:ce::254 ::ffff:168.63.129.16", false},
		{"L20 D6 inside", "127.8.8.8 10.0.0.1 172.31.255.255 192.168.1.1 fd12::1 fe80::1 fe80::1%eth0 2606:2800:220:1::1%eth0 fec0::1", false},
		{"L20 D6 an IPv4 address inside", "::127.0.0.1 ::1.1.1.1 ::ffff:127.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1:: 2001:0:a00:1::1", false},
		{"L20 D6 not assigned", "1::1 200::1 5eff::1 5f01::1 4000::1 a000::1 fbff::1 fe00::1", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, text := range strings.Fields(row.ips) {
				checkPublic(t, netip.MustParseAddr(text), row.public)
			}
		})
	}
	checkPublic(t, netip.Addr{}, false)
}

// A name is looked up once, and each of its addresses is checked. Then the checked
// addresses are dialled, not the name.
func TestOnlyCheckedAddressesAreDialled(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name, addrs, want string
		err               error
	}{
		{"D8 L20 public, then private", "93.184.216.34 127.0.0.1", "", errAddress},
		{"D8 L20 private, then public", "127.0.0.1 93.184.216.34", "", errAddress},
		{"D8 L20 public twice, then metadata", "93.184.216.34 2606:2800:220:1::1 168.63.129.16", "", errAddress},
		{"D8 public ones", "93.184.216.34 2606:2800:220:1::1", "93.184.216.34:8443 [2606:2800:220:1::1]:8443", refused},
		{"D8 no address", "", "", errAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dialled []string
			lookUps := 0
			d := &guardedDialer{
				exempt: map[string]bool{"idp.example": true},
				lookUp: func(_ context.Context, host string) ([]netip.Addr, error) {
					if lookUps++; lookUps > 1 || host != "keys.example" {
						return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
					}
					var out []netip.Addr
					for _, text := range strings.Fields(c.addrs) {
						out = append(out, netip.MustParseAddr(text))
					}
					return out, nil
				},
				connect: func(_ context.Context, _, address string) (net.Conn, error) {
					dialled = append(dialled, address)
					return nil, refused
				},
			}
			_, err := d.dial(context.Background(), "tcp", "keys.example:8443")
			if err != c.err || lookUps != 1 || !reflect.DeepEqual(dialled, strings.Fields(c.want)) && len(dialled)+len(c.want) > 0 {
				t.Errorf("%v, looked up %d times, dialled %q", err, lookUps, dialled)
			}
		})
	}
	t.Run("D6 the issuer's host at another port", func(t *testing.T) {
		dialled := ""
		d := &guardedDialer{exempt: map[string]bool{"idp.example": true}, connect: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, refused
		}}
		if _, err := d.dial(context.Background(), "tcp", "IdP.example:6379"); err != refused || dialled != "IdP.example:6379" {
			t.Errorf("%v, dialled %q", err, dialled)
		}
	})
}
