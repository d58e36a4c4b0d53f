package browser

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Form is a form on a page, with its first values.
type Form struct {
	Method string
	Action *url.URL
	Values url.Values
	Text   string // its markup, which distinguishes forms
}

var (
	formTag   = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	fieldTag  = regexp.MustCompile(`(?is)<(input|button)\b([^>]*)>`)
	attribute = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// Forms returns the forms of the page, in its order.
func (p *Page) Forms() []Form {
	var forms []Form
	for _, m := range formTag.FindAllStringSubmatch(string(p.Body), -1) {
		a := attributes(m[1])
		f := Form{Method: strings.ToUpper(a["method"]), Values: url.Values{}, Text: m[0]}
		if f.Method == "" {
			f.Method = http.MethodGet
		}
		action, err := p.URL.Parse(a["action"])
		if err != nil {
			continue
		}
		f.Action = action
		for _, field := range fieldTag.FindAllStringSubmatch(m[2], -1) {
			a := attributes(field[2])
			if field[1] == "input" && a["name"] != "" && a["type"] != "submit" {
				f.Values.Set(a["name"], a["value"])
			}
		}
		forms = append(forms, f)
	}
	return forms
}

func attributes(s string) map[string]string {
	found := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(s, -1) {
		found[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3] + m[4])
	}
	return found
}

// Submit sends the form as a user on the page would.
func (b *Browser) Submit(p *Page, f Form) *Page {
	b.t.Helper()
	r := Request{Method: f.Method, URL: f.Action.String(), From: p.URL, Body: f.Values.Encode()}
	if f.Method == http.MethodGet {
		u := *f.Action
		u.RawQuery = f.Values.Encode()
		r.URL, r.Body = u.String(), ""
	}
	return b.Do(r)
}
