package headers

import (
	"reflect"
	"strings"
	"sync"
	"testing"
)

const user = `{"sub":"42","email":"a@b.c","name":"J\u00f6rg","nick":"","nothing":null,"level":7,"big":9007199254740993,"half":0.5,"ok":true,
	"groups":["x","y,z"],"one":"solo","none":[],"evil":"a\r\nX-Admin: 1","percent":"50%","mixed":["a",{"b":1}],
	"address":{"country":"CH","lines":["a","b"]},"https://c.com/roles":["admin"],"a.b":"literal","userToken":"50%"}`

func TestTemplates(t *testing.T) {
	tests := []struct{ name, value, want string }{ // an empty want means that the header is left out
		{"text", "plain", "plain"},
		{"claim", "{{.Claims.email}}", "a@b.c"},
		{"claim in text", "user={{.Claims.email}};", "user=a@b.c;"},
		{"nested", "{{.Claims.address.country}}", "CH"},
		{"access token", "Bearer {{.AccessToken}}", "Bearer at%41"},
		{"ID token, both names", "{{.IDToken}} {{.IdToken}}", "it it"},
		{"reference", "${claims.email}", "a@b.c"},
		{"reference to a nested claim", "<${claims.address.country}>", "<CH>"},
		{"reference to a URL", "${claims.https://c.com/roles}", "admin"},
		{"reference to a name with a dot", "${claims.a.b}", "literal"},
		{"reference to a token", "Bearer ${accessToken}", "Bearer at%41"},
		{"four braces", "{{{{.Claims.email}}}}", "a@b.c"},
		{"braces of a format are kept", `{"a":{"b":{{.Claims.level}}}}`, `{"a":{"b":7}}`},
		{"names in text are text", "claims.email of $5, an idToken", "claims.email of $5, an idToken"},
		{"number", "{{.Claims.level}}", "7"},
		{"C33 large number", "{{.Claims.big}}", "9007199254740993"},
		{"fraction as written", "{{.Claims.half}}", "0.5"},
		{"boolean", "{{.Claims.ok}}", "true"},
		{"comparison", `{{if gt .Claims.level 5}}high{{else}}low{{end}}`, "high"},
		{"list", "{{.Claims.groups}}", "x,y%2Cz"},
		{"range", "{{range $i, $e := .Claims.groups}}{{if $i}},{{end}}{{$e}}{{end}}", "x,y%2Cz"},
		{"range over one text", "{{range .Claims.one}}<{{.}}>{{end}}", "<solo>"},
		{"range over nothing", "{{range .Claims.nope}}x{{else}}none{{end}}", "none"},
		{"range over members", "{{range $k, $v := .Claims.address}}{{if eq $k `country`}}{{$v}}{{end}}{{end}}", "CH"},
		{"join", `{{join ";" .Claims.groups}}`, "x;y,z"},
		{"join encodes its separator", `{{join "," .Claims.groups}}`, "x,y%2Cz"},
		{"lower and upper", "{{lower .Claims.address.country}}{{.Claims.email | upper}}", "chA@B.C"},
		{"urlquery", "{{urlquery .Claims.percent}}", "50%25"},
		{"index", `{{index .Claims "https://c.com/roles"}}`, "admin"},
		{"index of a list", `{{index .Claims.groups 0}}`, "x"},
		{"get", `{{get .Claims "email"}}`, "a@b.c"},
		{"claim function", `{{claim $ "address.country"}}`, "CH"},
		{"default", `{{default "none" .Claims.nope}} {{.Claims.nick | default "empty"}}`, "none empty"},
		{"else of a missing claim", "{{if .Claims.nope}}a{{else}}b{{end}}", "b"},
		{"with", "{{with .Claims.email}}<{{.}}>{{else}}nobody{{end}}", "<a@b.c>"},
		{"with and the data", "{{with .Claims.email}}{{$.Claims.sub}}{{end}}", "42"},
		{"variable", "{{$m := .Claims.email}}{{$m}}", "a@b.c"},
		{"lines around are cut off", "\n  {{.Claims.email}}\n", "a@b.c"},

		{"G7 line break", "{{.Claims.evil}}", "a%0D%0AX-Admin: 1"},
		{"G7 line break by reference", "${claims.evil}", "a%0D%0AX-Admin: 1"},
		{"G7 line break through a function", "{{lower .Claims.evil}}", "a%0D%0Ax-admin: 1"},
		{"G7 line break in a constant", `{{"a\nb"}}`, "a%0Ab"},
		{"G7 line break in a separator", `{{join "\n" .Claims.groups}}`, ""},
		{"G7 letters", "{{.Claims.name}}", "J%C3%B6rg"},
		{"G7 percent sign", "{{.Claims.percent}}", "50%25"},
		{"G7 a claim that is called like a token", "{{.Claims.userToken}}", "50%25"},
		{"G8 missing claim", "a{{.Claims.nope}}", ""},
		{"G8 missing claim by reference", "a${claims.nope}", ""},
		{"G8 missing nested claim", "a{{.Claims.nope.deeper}}", ""},
		{"G8 missing claim by index", `a{{index .Claims "nope"}}`, ""},
		{"G8 null", "a{{.Claims.nothing}}", ""},
		{"G8 object", "a{{.Claims.address}}", ""},
		{"G8 list with an object", "a{{.Claims.mixed}}", ""},
		{"G8 everything", "a{{.}}", ""},
		{"G8 all claims", "a{{.Claims}}", ""},
		{"G8 only an empty claim", "{{.Claims.nick}}", ""},
		{"G8 empty list", "{{.Claims.none}}", ""},
		{"G8 missing token", "Bearer {{.RefreshToken}}", ""},
		{"G8 missing token by reference", "Bearer ${refreshToken}", ""},
		{"G8 error of a function", "a{{index .Claims.groups 9}}", ""},
		{"G8 urlquery of nothing", "a{{urlquery .Claims.nope}}", ""},
		{"G8 join of nothing", `a{{join "," .Claims.nope}}`, ""},
		{"G8 member of a text", "a{{.Claims.email.x}}", ""},
		{"G9 method of a number", "a{{.Claims.half.String}}", ""},
		{"G9 counting", "{{range .Claims.big}}x{{end}}", ""},
	}
	data := Data{Claims: claimsOf(t, user), AccessToken: "at%41", IDToken: "it"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts, err := Compile([]Template{{"X-Test", tt.value}})
			if err != nil {
				t.Fatal(err)
			}
			got := valuesOf(ts.render(data))["X-Test"]
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestTokensThatCannotStandInAHeader(t *testing.T) {
	ts, err := Compile([]Template{{"X-Test", "Bearer {{.AccessToken}}"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "a\nb", "a\x00", "\u00fc", "\xff"} {
		if got := ts.render(Data{AccessToken: token}); got != nil {
			t.Errorf("G7 %q: %v", token, got)
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	tests := []struct{ name, value, says string }{
		{"empty", " ", "empty"},
		{"broken", "{{.Claims.email", "not a template"},
		{"misspelled data", "{{.Claim.email}}", ".Claim"},
		{"misspelled data within range", "{{range .Claims.groups}}{{$.Token}}{{end}}", ".Token"},
		{"field of a token", "{{.AccessToken.x}}", "token"},
		{"misspelled reference", "${claim.email}", "${claim.email}"},
		{"reference without a name", "${claims.}", "${claims.}"},
		{"reference without its end", "${claims.email", "${"},
		{"reference within text without its end", "user ${claims.email, please", "${"},
		{"reference without its sign", "{claims.email}", "{claims."},
		{"reference without braces", "Bearer $accessToken", "$accessToken"},
		{"reference in parentheses", "$(claims.email)", "(claims."},
		{"reference of another form", "%claims.email%", "%claims."},
		{"name alone", "claims.email", "claims.email"},
		{"name alone, of a token", "idToken", "idToken"},
		{"template with one brace", "{ .Claims.email }{.Claims.email}", "{.Claims."},
		{"line break in the text", "a\nb", "line break"},
		{"letters in the text", "\u00fc", "ASCII"},
		{"G9 call", "{{call .Claims.email}}", "call"},
		{"G9 printf", `{{printf "%1000000d" 1}}`, "printf"},
		{"G9 printf in parentheses", `{{lower (printf "%99999d" 1)}}`, "printf"},
		{"G9 html", "{{html .Claims.email}}", "html"},
		{"G9 our own last function", "{{verbatim .Claims.email}}", "verbatim"},
		{"G9 slice", "{{slice .Claims.email 1}}", "slice"},
		{"G9 template", `{{template "value"}}`, "template"},
		{"G9 definition", `{{define "x"}}{{end}}a`, "defines"},
		{"G9 block", `{{block "x" .}}{{end}}`, "template"},
		{"G9 loops in loops", "{{range .Claims.a}}{{range $.Claims.a}}x{{end}}{{end}}", "range within"},
		{"G9 loops in conditions in loops", "{{range .Claims.a}}{{if .}}{{range $.Claims.a}}x{{end}}{{end}}{{end}}", "range within"},
		{"too long", strings.Repeat("a", 5000), "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckTemplate(Template{"X-Test", tt.value})
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "X-Test") {
				t.Errorf("%v does not say %q", err, tt.says)
			}
		})
	}
}

func TestCompileNamesEveryProblem(t *testing.T) {
	_, err := Compile([]Template{{"X-A", "{{.Nope}}"}, {"Host", "x"}, {"X-Fine", "y"}, {"X_FINE", "z"}})
	for _, name := range []string{"X-A", "Host", "X_FINE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	ts, err := Compile([]Template{{"X-Test", strings.Repeat("{{.Claims.a}}", 200)}})
	if err != nil {
		t.Fatal(err)
	}
	set := ts.render(Data{Claims: claimsOf(t, `{"a":"`+strings.Repeat("a", 5000)+`"}`)})
	if len(set) != 1 || len(set[0].Value) <= maxValue || len(set[0].Value) > 3*maxValue {
		t.Errorf("G9 %d headers, %d bytes", len(set), len(set[0].Value))
	}
}

func TestClaimsOfTemplates(t *testing.T) {
	ts, err := Compile([]Template{
		{"X-A", "{{.Claims.email}} ${claims.a.b} {{index .Claims `c`}}"},
		{"X-B", "{{if $.Claims.d.e}}{{.Claims.email}}{{end}}{{range get .Claims `f`}}{{.x}}{{end}}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"email", "a.b", "c", "d.e", "f"}; !reflect.DeepEqual(ts.Claims(), want) {
		t.Errorf("%q, want %q", ts.Claims(), want)
	}
	if want := []string{"X-A", "X-B"}; !reflect.DeepEqual(ts.Names(), want) {
		t.Errorf("%q, want %q", ts.Names(), want)
	}
}

func TestTemplatesConcurrently(t *testing.T) {
	ts, err := Compile([]Template{{"X-Test", "{{range .Claims.g}}{{.}};{{end}}"}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b", "c", "d"} {
		wg.Add(1)
		go func(who string) {
			defer wg.Done()
			for i := 0; i < 100; i++ {
				set := ts.render(Data{Claims: map[string]any{"g": []any{who, who}}})
				if len(set) != 1 || set[0].Value != who+";"+who+";" {
					t.Errorf("%s: %v", who, set)
				}
			}
		}(who)
	}
	wg.Wait()
}

// FuzzTemplate: every template and claim produces one line.
func FuzzTemplate(f *testing.F) {
	for _, v := range []string{"{{.Claims.a}}", "${claims.a}", "{{range .Claims.l}}{{.}}{{end}}", "{{join `,` .Claims.l}}", "{{{{.Claims.a}}}}",
		"{{with .Claims.a}}{{urlquery .}}{{end}}", "{{$x := .AccessToken}}{{$x}}", "{{if .Claims.a}}x{{else}}{{upper .Claims.a}}{{end}}"} {
		f.Add(v, "a\r\nX: y")
		f.Add(v, "\u00fc")
	}
	f.Fuzz(func(t *testing.T, value, claim string) {
		ts, err := Compile([]Template{{"X-Test", value}})
		if err != nil {
			return
		}
		for _, h := range ts.render(Data{Claims: map[string]any{"a": claim, "l": []any{claim, "b"}}, AccessToken: claim}) {
			if !printable(h.Value) || strings.Contains(h.Value, "<no value>") && !strings.Contains(value+claim, "value>") {
				t.Errorf("%q with %q: %q", value, claim, h.Value)
			}
		}
	})
}
