package oidc

import (
	"net/netip"
	"strings"
)

// specialAddresses are the blocks without addresses of public providers, one a line
// with its name:
//   - every row of the IANA IPv4 and IPv6 Special-Purpose Address Registries as of
//     2025-10-09 (RFC 6890, RFC 8190), whether or not it is globally reachable;
//   - blocks that the IANA address space registries keep for multicast or have not
//     assigned;
//   - addresses of instance metadata of clouds that are in none of these.
const specialAddresses = `
	0.0.0.0/8          this network
	0.0.0.0/32         this host on this network
	10.0.0.0/8         private use
	100.64.0.0/10      shared address space, with Alibaba Cloud's metadata at 100.100.100.200
	127.0.0.0/8        loopback
	169.254.0.0/16     link local, with the metadata of most clouds at 169.254.169.254
	172.16.0.0/12      private use
	192.0.0.0/24       IETF protocol assignments, with Oracle Cloud's metadata at 192.0.0.192
	192.0.0.0/29       IPv4 service continuity prefix
	192.0.0.8/32       IPv4 dummy address
	192.0.0.9/32       port control protocol anycast
	192.0.0.10/32      traversal using relays around NAT anycast
	192.0.0.170/32     NAT64/DNS64 discovery
	192.0.0.171/32     NAT64/DNS64 discovery
	192.0.2.0/24       documentation (TEST-NET-1)
	192.31.196.0/24    AS112-v4
	192.52.193.0/24    AMT
	192.88.99.0/24     deprecated (6to4 relay anycast)
	192.88.99.2/32     6a44 relay anycast
	192.168.0.0/16     private use
	192.175.48.0/24    direct delegation AS112 service
	198.18.0.0/15      benchmarking
	198.51.100.0/24    documentation (TEST-NET-2)
	203.0.113.0/24     documentation (TEST-NET-3)
	224.0.0.0/4        multicast
	240.0.0.0/4        reserved
	255.255.255.255/32 limited broadcast
	168.63.129.16/32   Azure's metadata and health service

	::/128             unspecified
	::1/128            loopback
	::/96              deprecated (IPv4-compatible: an IPv4 address inside)
	::ffff:0:0/96      IPv4-mapped: isPublic looks at the IPv4 address inside
	::ffff:0:0:0/96    IPv4-translated: an IPv4 address inside
	64:ff9b::/96       IPv4-IPv6 translation: an IPv4 address inside
	64:ff9b:1::/48     IPv4-IPv6 translation: an IPv4 address inside
	100::/64           discard only
	100:0:0:1::/64     dummy prefix
	2001::/23          IETF protocol assignments
	2001::/32          Teredo: an IPv4 address inside
	2001:1::1/128      port control protocol anycast
	2001:1::2/128      traversal using relays around NAT anycast
	2001:1::3/128      DNS-SD service registration protocol anycast
	2001:2::/48        benchmarking
	2001:3::/32        AMT
	2001:4:112::/48    AS112-v6
	2001:10::/28       deprecated (ORCHID)
	2001:20::/28       ORCHIDv2
	2001:30::/28       drone remote ID protocol entity tags
	2001:db8::/32      documentation
	2002::/16          6to4: an IPv4 address inside
	2620:4f:8000::/48  direct delegation AS112 service
	3fff::/20          documentation
	5f00::/16          segment routing (SRv6) SIDs
	fc00::/7           unique local, with metadata at fd00:ec2::254 and fd20:ce::254
	fe80::/10          link local
	fec0::/10          deprecated (site local)
	ff00::/8           multicast
	::/3               not assigned: global unicast is 2000::/3
	4000::/2           not assigned
	8000::/1           not assigned
`

var specialPrefixes = parsePrefixes(specialAddresses)

// parsePrefixes reads the first word of each line that has one as a prefix.
func parsePrefixes(table string) []netip.Prefix {
	var out []netip.Prefix
	for _, line := range strings.Split(table, "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			out = append(out, netip.MustParsePrefix(words[0]))
		}
	}
	return out
}

// isPublic reports whether ip is in none of specialAddresses. The IPv4 address in an
// IPv4-mapped one decides. An address with a zone is never public.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	for _, prefix := range specialPrefixes {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}
