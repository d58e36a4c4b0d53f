package cache

import (
	"bytes"
	"time"
)

// listingOverhead is what a record takes in an index, in bytes.
const listingOverhead = 112

// places are where a record stands in the indexes of its listed links.
type places struct {
	at []int
}

// list lists an entry that is a live record under its links.
func (l *lru) list(e *entry) {
	if l.unlisted || !isLinked(e.value) {
		return
	}
	names := listedLinks(e.value)
	e.listed = &places{at: make([]int, 0, len(names))}
	for _, link := range names {
		index := l.links[link]
		e.listed.at = append(e.listed.at, len(index))
		l.links[link] = append(index, e)
	}
}

func (l *lru) unlist(e *entry) {
	if e.listed == nil {
		return
	}
	for i, link := range listedLinks(e.value) {
		l.leave(link, e.listed.at[i])
	}
	e.listed = nil
}

// leave takes the entry at a place out of an index. The last one takes its
// place.
func (l *lru) leave(link string, place int) {
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
	for i, name := range listedLinks(moved.value) {
		if name == link && moved.listed.at[i] == last {
			moved.listed.at[i] = place
		}
	}
}

// covered lists the records that r is about.
func (l *lru) covered(r Revocation, now int64) []*entry {
	if l.unlisted {
		return l.search(r, now)
	}
	var covered []*entry
	for _, e := range l.links[r.Link] {
		if e.expires > now && r.covers(e.value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// search is covered without an index.
func (l *lru) search(r Revocation, now int64) []*entry {
	link := []byte(r.Link)
	var covered []*entry
	for _, e := range l.entries {
		if bytes.Contains(e.value, link) && e.expires > now && r.covers(e.value) {
			covered = append(covered, e)
		}
	}
	return covered
}

// addable decides whether a value may be added.
func (l *lru) addable(key string, value []byte, now int64) error {
	if l.live(key, now) != nil {
		return ErrExists
	}
	if l.forbidden(value, now) {
		return ErrConflict
	}
	return nil
}

// forbidden reports whether a revocation is noted here that a record came too
// late for.
func (l *lru) forbidden(record []byte, now int64) bool {
	if kindOf(record) != liveRecord {
		return false
	}
	for _, link := range linksOf(record) {
		if e := l.live(noteKey(link.Name), now); e != nil && forbids(e.value, record) {
			return true
		}
	}
	return false
}

// note notes r, unless what is noted says as much.
func (l *lru) note(r Revocation, now time.Time) {
	key, note := noteKey(r.Mark), r.note(now)
	e := l.live(key, now.UnixNano())
	if e == nil || merge(e.value, note) == replaces {
		l.put(key, note, now, r.TTL).about = r.copied()
	}
}
