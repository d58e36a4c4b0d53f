package auth

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/texts"
)

// hostile would end any context that a template puts it into, unescaped.
const hostile = `/a?x='"><script>alert(1)</script>&y=1`

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	p := page{failure: failure{status: 400, code: "internal"}, reference: hostile, target: hostile, user: hostile, another: hostile, back: hostile, confirm: true}
	said := map[string]string{}
	for _, key := range texts.Keys() {
		said[key] = hostile
	}
	show := func(t *testing.T, template string) string {
		t.Helper()
		ps, err := newPages(template, texts.Options{Custom: said, CustomTag: "en"})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		ps.write(w, httptest.NewRequest(http.MethodGet, "/", nil), hostile, p)
		return w.Body.String()
	}
	for _, row := range []struct {
		name, template string
		want           []string // that are there
	}{
		{"A16 K7 the built-in page", "", []string{
			`href="/a?x=%27%22%3e%3cscript%3ealert%281%29%3c/script%3e&amp;y=1"`, "<h1>/a?x=&#39;&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;y=1</h1>",
			"<bdi>/a?x=&#39;&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;y=1</bdi>",
		}},
		{"A16 text of the operator's page", "<p>{{.Target}}{{.Title}}</p>", []string{"&lt;script&gt;"}},
		{"A16 an attribute in quotes", `<p title='{{.Target}}'>`, []string{"&#39;&#34;&gt;"}},
		{"A16 an attribute without quotes", `<p title={{.Target}}>`, []string{"&#39;&#34;&gt;"}},
		{"A16 an address", `<a href='{{.Target}}'>`, []string{"%27%22%3e%3cscript"}},
		{"A16 a script", `<script>go("{{.Target}}", {{.Title}})</script>`, []string{`\u0027\u0022\u003e\u003cscript`}},
		{"A16 a script in an attribute", `<p onclick="go('{{.Target}}')">`, []string{`\u0027`}},
		{"A16 a style", `<p style="background:{{.Title}}">`, []string{"ZgotmplZ"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			body := show(t, row.template)
			own := strings.Count(row.template, "<script")
			if strings.Contains(body, `'">`) || strings.Count(body, "<script") != own || strings.Count(body, "</script") != own {
				t.Errorf("unescaped: %s", body)
			}
			for _, want := range row.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in %s", want, body)
				}
			}
		})
	}
	t.Run("A16 a script for a target", func(t *testing.T) {
		p.target = "javascript:alert(1)"
		if body := show(t, `<a href="{{.Target}}">on</a>`); strings.Contains(body, "javascript:") {
			t.Error(body)
		}
	})
}

// everyPage is one page of each kind, with everything that it can have.
func everyPage() []page {
	ps := []page{
		{failure: notAllowed, reference: "ABC", user: "bob@example.com", another: "/out?another=%2F", back: "/before"},
		{failure: failure{200, "confirm", false}, confirm: true, target: "/", label: "label.stay_signed_in"},
		{failure: failure{200, "signed_out", false}, target: "/", label: "label.sign_in_again"},
		{failure: failure{200, "signed_out_there", false}, target: "/", label: "label.sign_in_again"},
		{failure: badCallback("no_state"), reference: "ABC", target: "/page"},
	}
	for _, f := range []failure{
		notSignedIn, signInExpired, signInLoop, cookiesBlocked, mixedSchemes, sessionLost, signedOutMeanwhile, accessDenied, signInRefused, signInInvalid,
		providerFault, siteMisconfigured, providerDown, storeDown, tooMany, notVisited, wrongMethod, internalFault, cookiesTooLarge, headersTooLarge,
	} {
		ps = append(ps, page{failure: f, reference: "ABC", target: "/page", reload: 10})
	}
	return ps
}

// inEnglish returns the English text of a key; empty: there is no such key.
func inEnglish(key string) string {
	b, err := texts.New(texts.Options{Language: "en"})
	if err != nil {
		panic(err)
	}
	return b.For("").Text(key)
}

func TestEveryPageHasTexts(t *testing.T) {
	source, err := os.ReadFile("respond.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, p := range everyPage() {
		known[p.failure.code] = true
		if inEnglish(p.failure.text()+".title") == "" || inEnglish(p.failure.text()+".advice") == "" {
			t.Errorf("%s has no texts", p.failure.code)
		}
	}
	for _, m := range regexp.MustCompile(`failure\{http\.\w+, "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if !known[m[1]] && inEnglish(m[1]+".title") == "" {
			t.Errorf("%s has no texts", m[1])
		}
	}
}

func TestTheExampleTemplate(t *testing.T) {
	example, err := os.ReadFile("../../examples/pages/failed.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{body, string(example)} {
		ps, err := newPages(text, texts.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range everyPage() {
			w := httptest.NewRecorder()
			ps.write(w, httptest.NewRequest(http.MethodGet, "/", nil), "/out", p)
			shown := w.Body.String()
			for _, want := range []string{
				template.HTMLEscapeString(inEnglish(p.failure.text() + ".title")), template.HTMLEscapeString(inEnglish(p.failure.text() + ".advice")),
				p.reference, p.user, p.back, template.HTMLEscapeString(p.target), p.another,
			} {
				if !strings.Contains(shown, want) {
					t.Errorf("%s: no %q in %s", p.failure.code, want, shown)
				}
			}
			if strings.Contains(shown, `method="post" action="/out"`) != p.confirm || strings.Contains(shown, inEnglish("label.by_itself")) != (p.reload > 0) {
				t.Errorf("%s: %s", p.failure.code, shown)
			}
			if w.Code != p.failure.status || w.Header().Get("Content-Language") != "en" || strings.Contains(shown, "<no value>") {
				t.Errorf("%s: status %d, headers %v", p.failure.code, w.Code, w.Header())
			}
		}
	}
}

func TestTemplatesWithFieldsThatDoNotExist(t *testing.T) {
	for _, text := range []string{
		"<p>{{.Message}}</p>", "{{if .Nope}}x{{end}}", "{{if .User}}{{.UserName}}{{end}}", "{{if .Confirm}}{{.CSRF}}{{end}}", "{{if .User}}x{{else}}{{.Nobody}}{{end}}",
	} {
		if _, err := newPages(text, texts.Options{}); err == nil || !strings.Contains(err.Error(), "errorTemplate: ") || !strings.Contains(err.Error(), "no entry for key") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheFieldsOfTemplatesAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "### Pages")
	section, _, _ = strings.Cut(section, "\n### ")
	book, err := texts.New(texts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range (page{}).data("/", book.For("")) {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
}

func TestLanguages(t *testing.T) {
	s := newSite(t, nil)
	open := func(s *site, accept string) (*http.Response, string) {
		b := s.browser()
		resp := b.send(s.handler, b.request("GET", callbackPath, map[string]string{"Accept-Language": accept}))
		return resp, s.status(resp, http.StatusBadRequest)
	}
	for accept, want := range map[string][]string{
		"de-CH,fr;q=0.5": {"de", "Diese Anmeldung kann nicht abgeschlossen werden", "Erneut versuchen"},
		"fr":             {"fr", "Cette connexion ne peut pas être terminée", "Réessayer"},
		"es-MX":          {"es", "Este inicio de sesión no se puede completar", "Intentar de nuevo"},
		"pl":             {"en", "This sign-in cannot be completed", "Try again"},
	} {
		resp, page := open(s, accept)
		if !strings.Contains(page, `<html lang="`+want[0]+`">`) || !strings.Contains(page, want[1]) || !strings.Contains(page, want[2]) {
			t.Errorf("%s: %s", accept, page)
		}
		if resp.Header.Get("Content-Language") != want[0] || !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept-Language") {
			t.Errorf("%s: headers %v", accept, resp.Header)
		}
	}
	fixed := newSite(t, func(o *Options) {
		o.PageTexts = texts.Options{Language: "ar", Custom: map[string]string{"label.try_again": "\u0623\u0639\u062f"}, CustomTag: "ar"}
	})
	resp, page := open(fixed, "de")
	if !strings.Contains(page, `<html lang="ar" dir="rtl">`) || !strings.Contains(page, "\u0623\u0639\u062f") || !strings.Contains(page, "This sign-in") {
		t.Error(page)
	}
	if strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept-Language") {
		t.Errorf("headers %v", resp.Header)
	}
}

func TestPagesThatAskAgain(t *testing.T) {
	s := newSite(t, nil)
	in := s.signedIn("alice")
	s.provider.Close()
	down := s.another(nil).Handler(http.HandlerFunc(s.backend))
	b := s.browser()
	resp := b.send(down, b.request("GET", "/page", nil))
	page := s.status(resp, http.StatusServiceUnavailable)
	if n, err := strconv.Atoi(resp.Header.Get("Refresh")); err != nil || n < 10 {
		t.Errorf("Refresh %q", resp.Header.Get("Refresh"))
	}
	if !strings.Contains(page, `<a href="/page">Try again</a>`) || !strings.Contains(page, "tries again by itself") {
		t.Error(page)
	}
	s.store.failing("Get", "Set")
	fresh := s.another(nil).Handler(http.HandlerFunc(s.backend))
	for _, row := range []struct {
		name, method, target string
		reloads              bool
	}{
		{"a page", "GET", "/page", true},
		{"K7 a form", "POST", "/page", false},
		{"K7 a sign-out", "GET", logoutPath, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := in.send(fresh, in.request(row.method, row.target, nil))
			if resp.StatusCode != http.StatusServiceUnavailable || (resp.Header.Get("Refresh") != "") != row.reloads {
				t.Errorf("status %d, Refresh %q", resp.StatusCode, resp.Header.Get("Refresh"))
			}
		})
	}
}
