package headers

import (
	"strings"
	"unicode/utf8"
)

// control are the ASCII control characters.
const control = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"

const hexDigits = "0123456789ABCDEF"

// encodeText encodes any text as one line of printable ASCII that can be decoded (RFC
// 3986, section 2.1). It percent-encodes control characters, characters beyond ASCII,
// percent signs, and spaces at either end, which receivers remove. Servers disagree
// about the meaning of other bytes in a header, and some about its end.
func encodeText(s string) string {
	return encode(s, "%")
}

// encodeList joins texts by commas. A comma within an element is encoded, so that the
// name of one group cannot add a user to another.
func encodeList(list []string) string {
	joined := strings.Join(list, ",")
	if strings.Count(joined, ",") == len(list)-1 && printable(joined) && !strings.ContainsAny(joined, "% ") &&
		!strings.Contains(joined, ",,") && strings.Trim(joined, ",") == joined {
		return joined
	}
	var encoded []string
	size := 0
	for _, s := range list {
		if s != "" && size <= maxValue {
			encoded = append(encoded, encode(s, "%,"))
			size += len(s) + 1
		}
	}
	return strings.Join(encoded, ",")
}

// encode percent-encodes the bytes of special, and those that a header must not
// contain. If s is too long for a header, it encodes a part that is still too long.
func encode(s, special string) string {
	if printable(s) && !strings.ContainsAny(s, special) && strings.TrimSpace(s) == s {
		return s
	}
	if len(s) > maxValue {
		s = s[:maxValue+1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		edge := c == ' ' && (i == 0 || i == len(s)-1)
		if c < ' ' || c >= 0x7f || edge || strings.IndexByte(special, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// printable reports whether s is printable ASCII. Three calls of the standard
// library are cheaper than a loop when interpreted.
func printable(s string) bool {
	return utf8.RuneCountInString(s) == len(s) && utf8.ValidString(s) && !strings.ContainsAny(s, control)
}
