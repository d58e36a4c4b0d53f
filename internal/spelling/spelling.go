// Package spelling finds the name that was probably meant by a misspelled one.
package spelling

import "strings"

// Nearest returns the candidate that takes the fewest changes to reach from s. It
// returns an empty string if that takes more changes than a third of s. Text that s only
// has at its end, as warning has after warn, is no change.
func Nearest(s string, candidates []string) string {
	s = Plain(s)
	if s == "" || len(s) > 64 {
		return ""
	}
	best := ""
	least := len(s)/3 + 1
	for _, candidate := range candidates {
		other := Plain(candidate)
		if s == other {
			return candidate
		}
		if len(other) > 2 && strings.HasPrefix(s, other) {
			best = candidate
			least = less(least, len(s)-len(other))
			continue
		}
		if gap := len(s) - len(other); gap >= least || -gap >= least {
			continue
		}
		if d := distance(s, other); d < least {
			best = candidate
			least = d
		}
	}
	return best
}

// Plain returns a name in lower case without hyphens and underscores.
func Plain(s string) string {
	s = strings.ToLower(s)
	return strings.ReplaceAll(strings.ReplaceAll(s, "_", ""), "-", "")
}

// distance is the number of bytes to insert, delete or replace, and of neighbours to swap,
// to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := 0; j <= len(b); j++ {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			d := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = less(d, rows[i-1][j]+1)
			d = less(d, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = less(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

func less(a, b int) int {
	if a < b {
		return a
	}
	return b
}
