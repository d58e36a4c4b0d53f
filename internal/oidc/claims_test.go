package oidc

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

const sampleClaims = `{
	"sub": "s", "n": 9007199254740993, "f": 1.50, "t": true, "z": null,
	"realm_access": {"roles": ["a", "", "b"]}, "realm_access.roles": ["literal"],
	"https://example.com/groups": ["g"], "a": {"b.c": {"d": "deep"}, "b": {"c": "hidden", "e": "shallow"}},
	"one": "x", "none": "", "mixed": ["a", 1], "object": {"x": "y"}, "empty": [], "x.y": {"z": "tail"}
}`

func TestClaimsByPath(t *testing.T) {
	c, err := decodeObject([]byte(sampleClaims), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	claims := Claims(c)
	for path, want := range map[string]string{
		"sub": "s", "n": "9007199254740993", "f": "1.50", "t": "", "z": "", "one": "x", "object": "", "missing": "",
		"a.b.c": "", "a.b.e": "shallow", "a.b.c.d": "deep", "a.b.c.d.e": "", "x.y.z": "tail", "object.x": "y", "object.": "", ".": "", "": "", "..": "",
	} {
		if got := claims.Text(path); got != want {
			t.Errorf("C33 %q: %q", path, got)
		}
	}
	for path, want := range map[string][]string{
		"realm_access.roles": {"literal"}, "https://example.com/groups": {"g"}, "one": {"x"},
		"none": nil, "mixed": {"a", "1"}, "object": {"x"}, "n": {"9007199254740993"}, "t": nil, "z": nil, "missing": nil, "empty": nil,
	} {
		if got := claims.List(path); !reflect.DeepEqual(got, want) {
			t.Errorf("C36 %q: %v", path, got)
		}
	}
	delete(claims, "realm_access.roles")
	if got := claims.List("realm_access.roles"); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("C36 nested: %v", got)
	}
	if v, ok := claims.Lookup("z"); v != nil || ok {
		t.Error("a null claim is there")
	}
	var none Claims
	if _, ok := none.Lookup("a.b"); ok || none.Text("a") != "" || none.List("a") != nil {
		t.Error("nil claims have something")
	}
}

// Providers write groups and roles in many shapes. An odd element does not hide the
// others.
func TestGroupShapes(t *testing.T) {
	for _, c := range []struct {
		name, groups string
		want         []string
		shape        string
	}{
		{"texts", `["a","b c","d,e"]`, []string{"a", "b c", "d,e"}, "a list of 3, 3 usable"},
		{"odd elements", `["staff",1001,null,true,"",[],1.50]`, []string{"staff", "1001", "1.50"}, "a list of 7, 3 usable"},
		{"objects with a name", `[{"name":"a","id":1},{"id":2},{"name":7},{"name":null}]`, []string{"a", "7"}, "a list of 4, 2 usable"},
		{"roles as keys", `{"admin":{"123":"org.example"},"viewer":true}`, []string{"admin", "viewer"}, "an object of 2 keys, 2 usable"},
		{"keys that are off", `{"a":false,"b":null,"c":0,"d":"","e":{},"f":[],"g":0.0,"":1,"h":1}`, []string{"h"}, "an object of 9 keys, 1 usable"},
		{"one text", `"admins"`, []string{"admins"}, "one text or number"},
		{"one text with spaces", `"staff admins"`, []string{"staff admins"}, "one text with commas or spaces, which is one name"},
		{"a number", `12`, []string{"12"}, "one text or number"},
		{"true", `true`, nil, "true or false, or an empty text"},
		{"null", `null`, nil, "missing"},
		{"an empty list", `[]`, nil, "a list of 0, 0 usable"},
	} {
		t.Run("C36 H18 "+c.name, func(t *testing.T) {
			m, err := decodeObject([]byte(`{"groups":`+c.groups+`}`), maxBody)
			if err != nil {
				t.Fatal(err)
			}
			if got := Claims(m).List("groups"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("names %q", got)
			}
			if got := Claims(m).Shape("groups"); got != c.shape {
				t.Errorf("shape %q", got)
			}
		})
	}
	if got := (Claims{}).Shape("groups"); got != "missing" {
		t.Errorf("shape %q", got)
	}
}

func TestInstants(t *testing.T) {
	for number, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "-5": time.Unix(0, 0), "1.5": time.Unix(1, 5e8), "1e3": time.Unix(1000, 0),
		"1e300": time.Unix(lastInstant, 0), "1e999": time.Unix(lastInstant, 0), "-1e999": time.Unix(0, 0),
	} {
		got, ok := Claims{"t": json.Number(number)}.instant("t")
		if !ok || !got.Equal(want) {
			t.Errorf("C19 %s: %v", number, got)
		}
	}
	for _, v := range []any{nil, "1", true, []any{}, 1.0} {
		if _, ok := (Claims{"t": v}).instant("t"); ok {
			t.Errorf("C19 %v is a time", v)
		}
	}
}

// FuzzClaims checks that accepted documents have no repeated member, that encoding/json
// reads them alike, and that each claim is found by its name.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{
		sampleClaims, `{}`, `{"a":{"a":{"a":[]}}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"":{"":""}}`, `[1]`, `{"a":1e400}`,
		`{"a":` + strings.Repeat("[", 40), "{\"\x00\":1}", ` {"x" : "y"} `,
	} {
		f.Add([]byte(s), "a.b")
	}
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		m, err := decodeObject(b, 64<<10)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		want := map[string]any{}
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(m, want) {
			t.Fatalf("%q: %v is not %v (%v)", b, m, want, err)
		}
		again, err := decodeObject(toJSON(m), maxBody)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q changed when it was written: %v", b, err)
		}
		c := Claims(m)
		for name, v := range m {
			if got, ok := c.Lookup(name); v != nil && (!ok || !reflect.DeepEqual(got, v)) {
				t.Fatalf("%q is not found", name)
			}
			for _, s := range c.List(name) {
				if s == "" {
					t.Fatal("an empty element")
				}
			}
		}
		c.Lookup(path)
		c.Text(path)
		if at, ok := c.instant(path); ok && (at.Unix() < 0 || at.Unix() > lastInstant) {
			t.Fatalf("%q: %v", path, at)
		}
	})
}
