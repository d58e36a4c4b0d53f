package cache

import (
	"context"
	"fmt"
)

// Bounds of one Trim.
const (
	TrimReads = 1024 // records that are read
	trimEnds  = 64   // records that are ended
)

// A Member is a record that an index lists.
type Member struct {
	Key    string
	End    int64 // of the record, in ms since 1970
	Issued int64 // of a live record, in s since 1970; zero: it was not read
}

func CheckTrim(link string, most int) error {
	if len(link) != LinkSize || most < 1 {
		return fmt.Errorf("%w: the link or the number of a trim", ErrInvalid)
	}
	return nil
}

// Oldest returns the live records that were issued first, without newest, as many as
// exceed the number most.
func Oldest(live []Member, most int, newest string) []Member {
	excess := len(live) - most
	if excess > trimEnds {
		excess = trimEnds
	}
	var found []Member
	left := append([]Member{}, live...)
	for len(found) < excess {
		first := -1
		for i := range left {
			if left[i].Key != newest && (first < 0 || left[i].Issued < left[first].Issued) {
				first = i
			}
		}
		if first < 0 {
			return found
		}
		found = append(found, left[first])
		left[first] = left[len(left)-1]
		left = left[:len(left)-1]
	}
	return found
}

// Trim removes the records, because an absent key cannot come back.
func (m *Memory) Trim(ctx context.Context, link string, most int, newest string) (int, error) {
	if err := CheckTrim(link, most); err != nil {
		return 0, err
	}
	now := m.now().UnixNano()
	var live []Member
	m.mu.Lock()
	index := m.lru.links[link]
	for i := 0; len(index) > most && i < len(index) && i < TrimReads; i++ {
		if e := index[i]; e.Expires > now {
			live = append(live, Member{Key: e.Key, Issued: IssuedOf(e.Value)})
		}
	}
	m.mu.Unlock()
	ended := Oldest(live, most, newest)
	for _, x := range ended {
		if err := m.Delete(ctx, x.Key); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}
