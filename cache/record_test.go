package cache_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache"
)

func TestARecordComesBackAsWritten(t *testing.T) {
	for _, h := range []cache.Header{
		{KeyID: 0, State: cache.Live, Version: 0, Expiry: time.UnixMilli(0)},
		{KeyID: 255, State: cache.Revoked, Version: 1<<64 - 1, Expiry: time.UnixMilli(1<<62 + 1)},
		{KeyID: 7, State: cache.Live, Version: 3, Expiry: time.UnixMilli(time.Now().UnixMilli())},
		{State: cache.Live, Version: 1, Expiry: time.UnixMilli(5), End: time.UnixMilli(6), Issued: time.Unix(7, 0), Links: []cache.Link{
			{Name: "0123456789abcdef", Listed: true}, {Name: "\x00123456789abcdef"},
		}},
	} {
		b := append(cache.AppendHeader([]byte("prefix"), h), "payload"...)[len("prefix"):]
		got, payload, err := cache.ParseRecord(b)
		if h.End.IsZero() {
			h.End = h.Expiry
		}
		if h.Issued.IsZero() {
			h.Issued = time.Unix(0, 0)
		}
		if err != nil || !reflect.DeepEqual(got, h) || string(payload) != "payload" {
			t.Errorf("%+v: got %+v, %q, %v", h, got, payload, err)
		}
		head, rest, ok := cache.SplitRecord(b)
		if !ok || string(head)+"payload" != string(b) || string(rest) != "payload" {
			t.Errorf("%+v: split into %q and %q", h, head, rest)
		}
	}
}

func TestParseRecordRefusesOtherValues(t *testing.T) {
	good := cache.AppendHeader(nil, cache.Header{State: cache.Live})
	later := append([]byte{good[0] + 1}, good[1:]...)
	badState := append([]byte{}, good...)
	badState[2] = 9
	for _, c := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"nothing", nil, cache.ErrRecord},
		{"text", []byte("hello, this is some text"), cache.ErrRecord},
		{"a header cut short", good[:len(good)-1], cache.ErrRecord},
		{"an unknown state", badState, cache.ErrRecord},
		{"more links than bytes", append(append([]byte{}, good[:len(good)-1]...), 1), cache.ErrRecord},
		{"a link of an unknown kind", append(append(append([]byte{}, good[:len(good)-1]...), 1, 2), "0123456789abcdef"...), cache.ErrRecord},
		{"too many links", append(append([]byte{}, good[:len(good)-1]...), bytes.Repeat([]byte{49}, 1000)...), cache.ErrRecord},
		{"J15 a later format", later, cache.ErrMiss},
		{"J15 a later format that is shorter", later[:1], cache.ErrMiss},
		{"J15 the last format", []byte{0xAF}, cache.ErrMiss},
		{"format zero", []byte{0xA0, 1, 1}, cache.ErrRecord},
	} {
		if _, _, err := cache.ParseRecord(c.b); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(cache.AppendHeader(nil, cache.Header{State: cache.Live, Version: 2, Expiry: time.UnixMilli(1)}))
	f.Add([]byte{0xA2})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := cache.ParseRecord(b)
		if err != nil {
			return
		}
		if again := append(cache.AppendHeader(nil, h), payload...); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
