package resp

import (
	"strconv"
	"strings"
)

const (
	// slotCount is the number of hash slots of a cluster.
	slotCount = 16384
	// noSlot is the slot of a command without a key: every node may carry it out.
	noSlot = -1
)

// crcTable has the remainders of a CRC-16 with the polynomial 0x1021, by the first byte.
var crcTable = makeCRCTable()

func makeCRCTable() []uint16 {
	out := make([]uint16, 256)
	for i := range out {
		v := uint16(i) << 8
		for k := 0; k < 8; k++ {
			if v&0x8000 != 0 {
				v = v<<1 ^ 0x1021
			} else {
				v <<= 1
			}
		}
		out[i] = v
	}
	return out
}

// slotOf returns the slot of key. If there is a hash tag, only the tag determines the slot.
// It is the text between the first { and the first } behind it, unless that is empty.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
func slotOf(key string) int {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if n := strings.IndexByte(key[i+1:], '}'); n > 0 {
			key = key[i+1 : i+1+n]
		}
	}
	crc := uint16(0)
	for i := 0; i < len(key); i++ {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return int(crc % slotCount)
}

// keyless lists the commands without a key.
var keyless = map[string]bool{
	"PING": true, "ECHO": true, "INFO": true, "ROLE": true, "TIME": true, "DBSIZE": true, "CONFIG": true, "CLIENT": true,
	"CLUSTER": true, "PUBLISH": true, "SCAN": true, "SCRIPT": true, "ACL": true, "COMMAND": true, "WAIT": true,
	"FLUSHALL": true, "FLUSHDB": true, "ASKING": true,
}

// slotOfCommand returns the slot of the first key of args, or noSlot.
func slotOfCommand(args []string) int {
	name := args[0]
	if strings.HasPrefix(name, "EVAL") {
		n := 0
		if len(args) > 3 {
			n, _ = strconv.Atoi(args[2])
		}
		if n < 1 {
			return noSlot
		}
		return slotOf(args[3])
	}
	if len(args) < 2 || keyless[name] {
		return noSlot
	}
	return slotOf(args[1])
}
