package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestStrictJWTs(t *testing.T) {
	const header, payload, sig = `{"alg":"ES256"}`, `{"iss":"i","n":1}`, "c2ln"
	good := b64(header) + "." + b64(payload) + "." + sig
	utf16 := "\xff\xfe{\x00}\x00"
	for _, c := range []struct {
		name, raw string
		ok        bool
	}{
		{"C27 as it should be", good, true},
		{"C27 padding in the header", b64(header+" ") + "==." + b64(payload) + "." + sig, false},
		{"C27 padding in the signature", good + "=", false},
		{"C27 the other alphabet, plus", b64(header) + "." + b64(payload) + ".ab+d", false},
		{"C27 the other alphabet, slash", b64(header) + "." + b64(payload) + ".ab/d", false},
		{"C27 trailing bits", b64(header) + "." + b64(payload) + ".c2lnYR", false},
		{"C27 without trailing bits", b64(header) + "." + b64(payload) + ".c2lnYQ", true},
		{"C27 an impossible length", b64(header) + "." + b64(payload) + ".c2lnY", false},
		{"C27 a newline at the end", good + "\n", false},
		{"C27 a newline inside", good[:8] + "\n" + good[8:], false},
		{"C27 CR LF between", b64(header) + "\r\n." + b64(payload) + "." + sig, false},
		{"C27 a space", " " + good, false},
		{"C27 NUL", good + "\x00", false},
		{"C28 header twice alg", b64(`{"alg":"ES256","alg":"none"}`) + "." + b64(payload) + "." + sig, false},
		{"C28 payload twice aud", b64(header) + "." + b64(`{"aud":"a","aud":"b"}`) + "." + sig, false},
		{"C28 twice by an escape", b64(header) + "." + b64(`{"aud":"a","a\u0075d":"b"}`) + "." + sig, false},
		{"C28 twice deep inside", b64(header) + "." + b64(`{"a":[{"b":1,"b":1}]}`) + "." + sig, false},
		{"C28 the same name at two levels", b64(header) + "." + b64(`{"a":{"a":1}}`) + "." + sig, true},
		{"C29 names of another case", b64(header) + "." + b64(`{"iss":"a","Iss":"b","ISS":"c"}`) + "." + sig, true},
		{"C29 only ALG", b64(`{"ALG":"ES256"}`) + "." + b64(payload) + "." + sig, false},
		{"C30 invalid UTF-8", b64(header) + "." + b64("{\"a\":\"\xff\"}") + "." + sig, false},
		{"C30 an overlong slash", b64(header) + "." + b64("{\"a\":\"\xc0\xaf\"}") + "." + sig, false},
		{"C30 BOM", b64(header) + "." + b64("\xef\xbb\xbf"+payload) + "." + sig, false},
		{"C30 UTF-16", b64(header) + "." + b64(utf16) + "." + sig, false},
		{"C30 a raw NUL", b64(header) + "." + b64("{\"a\":\"\x00\"}") + "." + sig, false},
		{"C30 an escaped NUL", b64(header) + "." + b64(`{"a":"\u0000"}`) + "." + sig, true},
		{"C31 depth 32", b64(header) + "." + b64(`{"a":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+"}") + "." + sig, true},
		{"C31 depth 33", b64(header) + "." + b64(`{"a":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+"}") + "." + sig, false},
		{"payload is an array", b64(header) + "." + b64(`[1]`) + "." + sig, false},
		{"payload is a string", b64(header) + "." + b64(`"x"`) + "." + sig, false},
		{"payload is null", b64(header) + "." + b64(`null`) + "." + sig, false},
		{"payload is empty", b64(header) + ".." + sig, false},
		{"two values", b64(header) + "." + b64(payload+payload) + "." + sig, false},
		{"a trailing comma", b64(header) + "." + b64(`{"a":1,}`) + "." + sig, false},
		{"header is empty", "." + b64(payload) + "." + sig, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			parsed, err := parseJWT(c.raw)
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			if claims := VerifiedClaims(c.raw); c.ok && !reflect.DeepEqual(claims, parsed.claims) {
				t.Errorf("VerifiedClaims reads %v, parseJWT %v", claims, parsed.claims)
			}
		})
	}
}

func TestVerifiedClaimsOfNoToken(t *testing.T) {
	header, payload := b64(`{"alg":"ES256"}`), b64(`{"sub":"alice"}`)
	for name, raw := range map[string]string{
		"nothing": "", "one part": payload, "two parts": header + "." + payload, "five parts": header + "." + payload + ".a.b.c",
		"padding": header + "." + payload + "==.c2ln", "a line break": header + "." + payload[:4] + "\n" + payload[4:] + ".c2ln",
		"trailing bits": header + "." + payload[:len(payload)-1] + "R.c2ln", "another alphabet": header + ".+/+/.c2ln",
		"null": header + "." + b64("null") + ".c2ln", "an array": header + "." + b64("[1]") + ".c2ln", "a text": header + "." + b64(`"x"`) + ".c2ln",
		"two values":      header + "." + b64(`{"sub":"alice"}{"sub":"bob"}`) + ".c2ln",
		"a text after it": header + "." + b64(`{"sub":"alice"} x`) + ".c2ln",
		"a huge one":      header + "." + b64(`{"sub":"`+strings.Repeat("a", maxToken)+`"}`) + ".c2ln",
	} {
		if claims := VerifiedClaims(raw); claims == nil || len(claims) != 0 {
			t.Errorf("C27 %s: %v", name, claims)
		}
	}
}

func TestCaseOfClaimNames(t *testing.T) {
	b := newBed(t, oidctest.Options{}, Options{})
	key := b.op.SigningKey()
	header := toJSON(map[string]any{"alg": "ES256", "kid": key.ID})
	good := string(toJSON(b.claims()))
	bad := strings.Replace(good, `"`+b.op.URL()+`"`, `"https://evil.example"`, 1)
	for _, c := range []struct{ name, payload, fails string }{
		{"C29 Iss evil after iss good", strings.TrimSuffix(good, "}") + `,"Iss":"https://evil.example"}`, ""},
		{"C29 Iss evil before iss good", `{"Iss":"https://evil.example",` + good[1:], ""},
		{"C29 Iss good after iss evil", strings.TrimSuffix(bad, "}") + `,"Iss":"` + b.op.URL() + `"}`, "iss"},
		{"C29 Iss good before iss evil", `{"Iss":"` + b.op.URL() + `",` + bad[1:], "iss"},
		{"C29 Exp instead of exp", strings.Replace(good, `"exp"`, `"Exp"`, 1), "exp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkRefusal(t, b.verify(key.Sign(header, []byte(c.payload))), c.fails)
		})
	}
	t.Run("C29 Kid is another member", func(t *testing.T) {
		raw := key.SignClaims(b.claims(), set("Kid", "../../x"))
		checkRefusal(t, b.verify(raw), "")
	})
}

// TestHugeTokensCostLittle bounds the memory that hostile tokens allocate.
func TestHugeTokensCostLittle(t *testing.T) {
	header := b64(`{"alg":"ES256"}`)
	many := `{"aud":["` + strings.Repeat(`a","`, 100000) + `"]}`
	for _, c := range []struct{ name, raw string }{
		{"C31 nesting of 10 000", header + "." + b64(`{"a":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+"}") + ".c2ln"},
		{"C31 nesting of objects", header + "." + b64(strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000)) + ".c2ln"},
		{"C31 a claim of 1 MB", header + "." + b64(`{"a":"`+strings.Repeat("a", 1<<20)+`"}`) + ".c2ln"},
		{"C31 a token of 10 MB", strings.Repeat("a", 10<<20) + ".b.c"},
		{"C31 100 000 audiences", header + "." + b64(many) + ".c2ln"},
		{"C31 as many elements as fit", header + "." + b64(`{"a":[`+strings.Repeat("1,", 90000)+"1]}") + ".c2ln"},
		{"C31 a million dots", strings.Repeat(".", 1<<20)},
		{"C31 dots within the size", strings.Repeat(".", 200<<10)},
		{"C32 a header of 10 KB", b64(`{"alg":"ES256","p2c":`+strings.Repeat("9", 10<<10)+"}") + "." + b64("{}") + ".c2ln"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parseJWT(c.raw)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("accepted")
			}
			if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 8<<20 {
				t.Fatalf("%d bytes", bytes)
			}
		})
	}
}

// FuzzParseJWT checks that accepted tokens have one spelling and that encoding/json
// reads them alike.
func FuzzParseJWT(f *testing.F) {
	for _, s := range []string{
		b64(`{"alg":"ES256","kid":"k","typ":"JWT"}`) + "." + b64(`{"iss":"i","aud":["a"],"n":1e3,"o":{"x":null}}`) + ".c2ln",
		b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".", b64(`{"alg":"RS256","crit":["b64"]}`) + "." + b64(`{}`) + ".AA",
		b64(`{"alg":"ES256","alg":"none"}`) + "." + b64(`{}`) + ".AA", "a.b.c.d.e", "..", "",
		b64(`{"alg":"ES256"}`) + "." + b64(`{"a":[[[[[]]]]],"\ud800":1}`) + ".AAA",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := parseJWT(raw)
		if err != nil {
			return
		}
		parts := strings.Split(raw, ".")
		if tok.signed+"."+base64.RawURLEncoding.EncodeToString(tok.signature) != raw || len(parts) != 3 {
			t.Fatalf("%q has a second spelling", raw)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || base64.RawURLEncoding.EncodeToString(payload) != parts[1] {
			t.Fatalf("%q has a second spelling", parts[1])
		}
		dec := json.NewDecoder(bytes.NewReader(payload))
		dec.UseNumber()
		want := map[string]any{}
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(map[string]any(tok.claims), want) {
			t.Fatalf("%q: %v is not %v (%v)", payload, tok.claims, want, err)
		}
		if again := VerifiedClaims(raw); !reflect.DeepEqual(again, tok.claims) {
			t.Fatalf("%q: VerifiedClaims reads %v", payload, again)
		}
	})
}
