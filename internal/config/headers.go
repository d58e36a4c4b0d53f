package config

import (
	"fmt"
	"strings"
)

// headers reads what the backend receives.
func (r *reader) headers(c *Config) Headers {
	h := Headers{Minimal: c.MinimalHeaders}
	if len(c.Headers) > 100 {
		r.problem("headers", "has more than 100 elements")
		return h
	}
	seen := map[string]bool{}
	for i := range c.Headers {
		option := fmt.Sprintf("headers[%d]", i)
		r.unknown(option+".", c.Headers[i].Extra, headerNames)
		t := HeaderTemplate{
			Name:  r.headerName(option+".name", c.Headers[i].Name),
			Value: r.text(option+".value", c.Headers[i].Value),
		}
		if c.Headers[i].Value == "" {
			r.problem(option+".value", "is required")
		}
		// Servers take - and _ in a name for the same.
		key := strings.ReplaceAll(strings.ToLower(t.Name), "_", "-")
		if seen[key] {
			r.problem(option+".name", "is in the list twice")
		}
		seen[key] = t.Name != ""
		h.Templates = append(h.Templates, t)
	}
	return h
}

// foreignHeaders are those that belong to the connection or to Traefik (RFC
// 9110, section 7.6.1): a value of ours would break the request or be misread.
const foreignHeaders = `connection proxy-connection keep-alive te trailer transfer-encoding upgrade host
	content-length expect cookie set-cookie x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port
	x-forwarded-server x-real-ip`

// headerName reads the name of a header that may be set.
func (r *reader) headerName(option, raw string) string {
	name := r.text(option, raw)
	switch {
	case name == "":
		if raw == "" {
			r.problem(option, "is required")
		}
	case !only(name, tokenChars) || len(name) > 100:
		r.problem(option, "is no name of a header")
	case contains(strings.Fields(foreignHeaders), strings.ReplaceAll(strings.ToLower(name), "_", "-")):
		r.problem(option, name+" cannot be set here")
	}
	return name
}

// pages reads what people see when something fails.
func (r *reader) pages(c *Config) Pages {
	const option = "errorTemplate"
	path := r.text(option, c.ErrorTemplate)
	if path == "" {
		return Pages{}
	}
	before := len(r.problems)
	p := Pages{Template: r.file(option, strings.TrimPrefix(path, "file:"), maxFile)}
	if len(r.problems) == before && strings.TrimSpace(p.Template) == "" {
		r.problem(option, "the file is empty")
	}
	return p
}
