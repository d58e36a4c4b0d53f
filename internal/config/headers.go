package config

import (
	"fmt"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/headers"
)

// headers reads the headers that the backend receives. The headers of rules are removed
// from clients' requests like the others.
func (r *reader) headers(c *Config, rules []AccessRule) Headers {
	h := Headers{Minimal: c.MinimalHeaders, Templates: r.templates("headers", c.Headers)}
	set := h.Templates
	for _, rule := range rules {
		set = append(set[:len(set):len(set)], rule.Headers...)
	}
	h.Kept = r.keptHeaders(c.KeepRequestHeaders, set)
	return h
}

// templates reads a list of headers.
func (r *reader) templates(option string, list []HeaderOptions) []headers.Template {
	if len(list) > 100 {
		r.problem(option, "has more than 100 elements")
		return nil
	}
	var out []headers.Template
	seen := map[string]bool{}
	for i := range list {
		at := fmt.Sprintf("%s[%d].", option, i)
		t := r.template(at, &list[i])
		// Servers read - and _ in a name as the same character.
		key := strings.ReplaceAll(strings.ToLower(t.Name), "_", "-")
		if key != "" && seen[key] {
			r.problem(at+"name", "is in the list twice")
		}
		seen[key] = true
		out = append(out, t)
	}
	return out
}

// keptHeaders reads the identity headers of requests that pass.
func (r *reader) keptHeaders(raw []string, set []headers.Template) []string {
	const option = "keepRequestHeaders"
	var names []string
	for _, t := range set {
		names = append(names, t.Name)
	}
	kept := r.list(option, raw)
	for _, name := range kept {
		if err := headers.CheckKept(name, names); err != nil {
			r.problem(option, brief(name)+" "+err.Error())
		}
	}
	return kept
}

// template reads one element of headers. The error has the template's own problem only
// if that cannot show the value of a variable.
func (r *reader) template(at string, o *HeaderOptions) headers.Template {
	r.unknown(at, o.Extra, HeaderOptions{})
	t := headers.Template{
		Name:  r.required(at+"name", o.Name, "the name of a header"),
		Value: r.required(at+"value", o.Value, "a text or a template"),
	}
	if t.Name == "" || t.Value == "" {
		return t
	}
	if err := headers.CheckTemplate(t); err != nil {
		text := strings.TrimPrefix(err.Error(), "headers: ")
		if t.Value != strings.TrimSpace(o.Value) {
			text = "the header " + brief(t.Name) + " cannot be set, or its value is not a template once the variables in it are replaced"
		}
		r.problem(strings.TrimSuffix(at, "."), text)
	}
	return t
}

// framingHeaders belong to the connection or to the message's length (RFC 9110, section
// 7.6.1), or carry sessions. The configuration cannot set them on a response.
const framingHeaders = `connection proxy-connection keep-alive te trailer transfer-encoding upgrade
	content-length set-cookie`

// responseHeader checks the name of a header of responses.
func (r *reader) responseHeader(option, name string) {
	switch {
	case !only(name, tokenChars) || len(name) > 100:
		r.problem(option, "is no name of a header")
	case contains(strings.Fields(framingHeaders), strings.ToLower(name)):
		r.problem(option, "cannot be set here")
	}
}
