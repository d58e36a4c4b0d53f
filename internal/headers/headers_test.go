package headers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

func claimsOf(t testing.TB, text string) oidc.Claims {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	c := oidc.Claims{}
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func valuesOf(set []Header) map[string]string {
	m := map[string]string{}
	for _, h := range set {
		m[h.Name] = h.Value
	}
	return m
}

func TestStandard(t *testing.T) {
	tests := []struct {
		name string
		user User
		want map[string]string
	}{
		{"no user", User{}, map[string]string{}},
		{"a user", User{Name: "a@b.c", Groups: []string{"x", "y z"}, Roles: []string{"r"}}, map[string]string{
			forwardedUser: "a@b.c", requestUser: "a@b.c", userGroups: "x,y z", userRoles: "r"}},
		{"minimal", User{Name: "a@b.c", Groups: []string{"x"}, Minimal: true}, map[string]string{forwardedUser: "a@b.c"}},
		{"G4 no groups", User{Name: "a"}, map[string]string{forwardedUser: "a", requestUser: "a"}},
		{"C37 comma in a group", User{Groups: []string{"CN=Admins,OU=x", "dev"}}, map[string]string{userGroups: "CN=Admins%2COU=x,dev"}},
		{"C37 group of one comma", User{Groups: []string{"a", ","}}, map[string]string{userGroups: "a,%2C"}},
		{"C37 groups that are empty", User{Groups: []string{"a", "", "b"}}, map[string]string{userGroups: "a,b"}},
		{"C37 the encoded form is not the comma", User{Groups: []string{"a%2Cb"}}, map[string]string{userGroups: "a%252Cb"}},
		{"G7 line break", User{Name: "a\r\nX-Admin: 1", Minimal: true}, map[string]string{forwardedUser: "a%0D%0AX-Admin: 1"}},
		{"G7 NUL", User{Name: "a\x00b", Minimal: true}, map[string]string{forwardedUser: "a%00b"}},
		{"G7 letters", User{Name: "J\u00f6rg", Minimal: true}, map[string]string{forwardedUser: "J%C3%B6rg"}},
		{"G7 a user with the name of the encoded one", User{Name: "J%C3%B6rg", Minimal: true}, map[string]string{forwardedUser: "J%25C3%25B6rg"}},
		{"G7 spaces at the ends", User{Name: " a b ", Minimal: true}, map[string]string{forwardedUser: "%20a b%20"}},
		{"G7 line break in a group", User{Groups: []string{"a\nb", "c"}}, map[string]string{userGroups: "a%0Ab,c"}},
		{"G7 bad UTF-8", User{Name: "a\xffb", Minimal: true}, map[string]string{forwardedUser: "a%FFb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := valuesOf(standard(tt.user)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	claims := claimsOf(t, `{"sub":"42","name":"N"}`)
	ts, err := Compile([]Template{{"X-Name", "${claims.name}"}, {"x-forwarded_user", "${claims.sub}"}, {"X-User-Roles", "${claims.nope}"}})
	if err != nil {
		t.Fatal(err)
	}
	set, dropped := Build(User{Name: "a@b.c", Roles: []string{"admin"}}, ts, Data{Claims: claims})
	want := map[string]string{"X-Name": "N", "X-Forwarded_user": "42", requestUser: "a@b.c"}
	if got := valuesOf(set); !reflect.DeepEqual(got, want) || dropped != nil {
		t.Errorf("%v, dropped %v, want %v", got, dropped, want)
	}
}

func TestBuildDropsWhatIsTooLong(t *testing.T) {
	ts, err := Compile([]Template{{"X-Big", "a{{.Claims.big}}"}, {"X-Fine", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, big := range map[string]string{"plain": strings.Repeat("a", 9000), "encoded": strings.Repeat("\u00fc", 900000),
		"encoded at the end": strings.Repeat("a", 9000) + "\u00fc"} {
		var groups []string
		for i := 0; i < 200; i++ {
			groups = append(groups, strings.Repeat("g", 50))
		}
		set, dropped := Build(User{Name: big, Groups: groups}, ts, Data{Claims: oidc.Claims{"big": big}})
		if want := []Header{{"X-Fine", "b"}}; !reflect.DeepEqual(set, want) {
			t.Errorf("G12 %s: kept %d headers", name, len(set))
		}
		if want := []string{forwardedUser, requestUser, userGroups, "X-Big"}; !reflect.DeepEqual(dropped, want) {
			t.Errorf("G12 %s: dropped %v, want %v", name, dropped, want)
		}
	}
}

// FuzzEncode: every claim becomes one line that net/http sends, and two texts never
// become the same.
func FuzzEncode(f *testing.F) {
	f.Add("a\r\nX-Admin: 1", "b,c")
	f.Add("J\u00f6rg", "J%C3%B6rg")
	f.Add(" ", "%20")
	f.Add("", ",")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 4000 || len(b) > 4000 {
			return
		}
		for _, s := range []string{encodeText(a), encodeList([]string{a, b})} {
			if !printable(s) || strings.TrimSpace(s) != s {
				t.Errorf("%q, %q: %q is not one line", a, b, s)
			}
		}
		back, err := url.PathUnescape(encodeText(a))
		if err != nil || back != a {
			t.Errorf("%q came back as %q, %v", a, back, err)
		}
		var kept []string
		for _, s := range []string{a, b} {
			if s != "" {
				kept = append(kept, s)
			}
		}
		var read []string
		if joined := encodeList([]string{a, b}); joined != "" {
			for _, s := range strings.Split(joined, ",") {
				s, _ = url.PathUnescape(s)
				read = append(read, s)
			}
		}
		if !reflect.DeepEqual(kept, read) {
			t.Errorf("%q became %q", kept, read)
		}
	})
}

func TestNamesThatCannotBeSet(t *testing.T) {
	for _, n := range []string{"", "a b", "X:", "X\r\nY", "\u00fc", strings.Repeat("a", 101), "Host", "content-length", "Connection", "Transfer-Encoding",
		"transfer_encoding", "TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Expect", "Cookie", "Set-Cookie",
		"X-Forwarded-For", "X_Forwarded_Proto", "X-Real-IP", "Sec-WebSocket-Key", "Accept", "User-Agent", "Content-Type", "Forwarded", "If-Match"} {
		if err := CheckTemplate(Template{n, "x"}); err == nil {
			t.Errorf("%q accepted", n)
		}
	}
	for _, n := range []string{"Authorization", "X-Forwarded-User", "X-Forwarded-Email", "Remote-User", "X_Name", "X-Auth-Request-Token", "x.y"} {
		if err := CheckTemplate(Template{n, "x"}); err != nil {
			t.Errorf("%q: %v", n, err)
		}
	}
}

func TestForeignNamesAreCanonicalAndNotOurs(t *testing.T) {
	c := NewCleaner(nil, nil)
	for n := range knownNames() {
		if http.CanonicalHeaderKey(n) != n || c.ours.MatchString("\n"+n+"\n") {
			t.Errorf("%q is not canonical, or ours", n)
		}
	}
}
