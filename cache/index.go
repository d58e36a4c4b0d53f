package cache

import (
	"bytes"
	"time"
)

// listingOverhead is the size of a record's place in an index, in bytes.
const listingOverhead = 112

// places has the places of a record in the indexes of its listed links.
type places struct {
	at []int
}

// list lists an entry that is a live record under its links.
func (l *LRU) list(e *Entry) {
	if l.Unlisted || !IsLinked(e.Value) {
		return
	}
	names := ListedLinks(e.Value)
	e.listed = &places{at: make([]int, 0, len(names))}
	for _, link := range names {
		index := l.links[link]
		e.listed.at = append(e.listed.at, len(index))
		l.links[link] = append(index, e)
	}
}

func (l *LRU) unlist(e *Entry) {
	if e.listed == nil {
		return
	}
	for i, link := range ListedLinks(e.Value) {
		l.leave(link, e.listed.at[i])
	}
	e.listed = nil
}

// leave removes the entry at a place from an index. The last one takes its place.
func (l *LRU) leave(link string, place int) {
	index := l.links[link]
	last := len(index) - 1
	if last == 0 {
		delete(l.links, link)
		return
	}
	moved := index[last]
	index[place] = moved
	index[last] = nil
	l.links[link] = index[:last]
	for i, name := range ListedLinks(moved.Value) {
		if name == link && moved.listed.at[i] == last {
			moved.listed.at[i] = place
		}
	}
}

// Covered lists the records that r covers.
func (l *LRU) Covered(r Revocation, now int64) []*Entry {
	if l.Unlisted {
		return l.search(r, now)
	}
	var covered []*Entry
	for _, e := range l.links[r.Link] {
		if e.Expires > now && r.CoversRecord(e.Value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// search is Covered without an index.
func (l *LRU) search(r Revocation, now int64) []*Entry {
	link := []byte(r.Link)
	var covered []*Entry
	for _, e := range l.Entries {
		if bytes.Contains(e.Value, link) && e.Expires > now && r.CoversRecord(e.Value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// addable decides whether a value may be added.
func (l *LRU) addable(key string, value []byte, now int64) error {
	if l.Live(key, now) != nil {
		return ErrExists
	}
	if l.Forbidden(value, now) {
		return ErrConflict
	}
	return nil
}

// Forbidden reports whether a revocation entry here keeps a record from being created.
func (l *LRU) Forbidden(record []byte, now int64) bool {
	if KindOf(record) != LiveRecord {
		return false
	}
	for _, link := range LinksOf(record) {
		if e := l.Live(RevocationKey(link.Name), now); e != nil && Forbids(e.Value, record) {
			return true
		}
	}
	return false
}

// PutRevocation stores the revocation entry of r, unless the stored one covers as much.
func (l *LRU) PutRevocation(r Revocation, now time.Time) {
	key, entry := RevocationKey(r.Name), r.Record(now)
	e := l.Live(key, now.UnixNano())
	if e == nil || Merge(e.Value, entry) == Replaces {
		l.Put(key, entry, now, r.TTL).About = r.Copied()
	}
}
