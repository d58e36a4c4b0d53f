package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// hostile would end any context that a template puts it into, unescaped.
const hostile = `/a?x='"><script>alert(1)</script>&y=1`

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	p := page{failure: failure{status: 400, code: hostile, title: hostile, advice: hostile}, reference: hostile, target: hostile, signOut: true, confirm: true}
	show := func(t *testing.T, template string) string {
		t.Helper()
		ps, err := newPages(template)
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
