package headers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CORSOptions are the scripts of other origins that may call the backend (Fetch,
// section "CORS protocol").
type CORSOptions struct {
	// Origins are https://app.example.com, https://*.example.com for every host below,
	// http://localhost:* for every port, or * for all.
	Origins          []string
	Methods, Headers []string // * allows all that the browser requests, only without credentials
	AllowCredentials bool     // refused together with the origin *
	MaxAge           time.Duration
}

// CORS answers preflights and adds headers to responses. It is never changed; nil
// allows nothing.
type CORS struct {
	any         bool
	exact       map[string]bool
	patterns    []originPattern
	methods     map[string]bool
	headers     map[string]bool
	granted     []Header // of a preflight that is allowed, in addition to the origin
	credentials bool
}

type originPattern struct {
	scheme, host, port string // a host that begins with a dot is a suffix; port * is any
}

// A CORSProblem is a value of CORSOptions that is refused. Text follows the value.
type CORSProblem struct {
	Field string // origins, methods or headers
	Value string
	Text  string
}

// NewCORS computes the responses of o, or returns every problem with it.
func NewCORS(o CORSOptions) (*CORS, []CORSProblem) {
	c := &CORS{exact: map[string]bool{}, methods: setOf(o.Methods), credentials: o.AllowCredentials}
	c.headers = setOf(strings.Split(strings.ToLower(strings.Join(o.Headers, ",")), ","))
	var problems []CORSProblem
	for _, origin := range o.Origins {
		if origin == "*" {
			c.any = true
			continue
		}
		if !c.add(strings.ToLower(origin)) {
			problems = append(problems, CORSProblem{"origins", origin, "is not an origin such as https://app.example.com, https://*.example.com or http://localhost:*; a name with other letters is written as xn--"})
		}
	}
	if c.any && c.credentials {
		problems = append(problems, CORSProblem{"origins", "*", "would let every site act for the signed-in user; name the origins, or allow no credentials"})
	}
	problems = append(problems, c.namesOf("methods", o.Methods)...)
	problems = append(problems, c.namesOf("headers", o.Headers)...)
	if problems != nil {
		return nil, problems
	}
	c.granted = appendSet(nil, "Access-Control-Allow-Methods", strings.Join(o.Methods, ", "))
	c.granted = appendSet(c.granted, "Access-Control-Allow-Headers", strings.Join(o.Headers, ", "))
	if o.MaxAge > 0 {
		c.granted = appendSet(c.granted, "Access-Control-Max-Age", strconv.FormatInt(int64(o.MaxAge/time.Second), 10))
	}
	return c, nil
}

// namesOf returns the problems of methods or headers.
func (c *CORS) namesOf(field string, values []string) []CORSProblem {
	var problems []CORSProblem
	for _, v := range values {
		if v == "" || strings.Trim(v, token) != "" {
			problems = append(problems, CORSProblem{field, v, "has a character that no name may have"})
		}
		if v == "*" && c.credentials {
			problems = append(problems, CORSProblem{field, v, "is too much where credentials are allowed; name them"})
		}
	}
	return problems
}

// Preflight returns the headers of the response to a preflight. Its status is 204, and
// it never reaches the backend. Without permission it has only Vary, which the browser
// takes for a refusal.
func (c *CORS) Preflight(r *http.Request) []Header {
	answer := []Header{{Name: "Vary", Value: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}}
	if c == nil {
		return answer
	}
	origin := c.allowed(r.Header["Origin"])
	if origin == nil || !c.allowsRequest(r.Header) {
		return answer
	}
	return append(append(answer, origin...), c.granted...)
}

// Response returns the headers of the response to a request with these values of
// Origin. A backend must not set them too, because they would occur twice.
func (c *CORS) Response(origin []string) []Header {
	if c == nil {
		return nil
	}
	return append(c.allowed(origin), Header{Name: "Vary", Value: "Origin"})
}

// allowed returns the headers that let an origin read a response, or nil.
func (c *CORS) allowed(origin []string) []Header {
	if len(origin) != 1 {
		return nil
	}
	if c.any {
		return []Header{{Name: "Access-Control-Allow-Origin", Value: "*"}}
	}
	if !c.matches(origin[0]) {
		return nil
	}
	list := []Header{{Name: "Access-Control-Allow-Origin", Value: origin[0]}}
	if c.credentials {
		list = append(list, Header{Name: "Access-Control-Allow-Credentials", Value: "true"})
	}
	return list
}

// maxAsked bounds how many headers a preflight may request.
const maxAsked = 50

// allowsRequest reports whether the method and all headers that a preflight requests
// are allowed.
func (c *CORS) allowsRequest(h http.Header) bool {
	method := h.Get("Access-Control-Request-Method")
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost: // need no permission
	default:
		if !c.methods["*"] && !c.methods[method] {
			return false
		}
	}
	asked := strings.Join(h["Access-Control-Request-Headers"], ",")
	if asked == "" {
		return true
	}
	if len(asked) > 4096 || strings.Count(asked, ",") > maxAsked {
		return false
	}
	for _, name := range strings.Split(strings.ToLower(asked), ",") {
		name = strings.TrimSpace(name)
		if name != "" && !c.headers[name] && (!c.headers["*"] || name == "authorization") {
			return false
		}
	}
	return true
}

// add adds an origin or a pattern.
func (c *CORS) add(origin string) bool {
	p, ok := splitOrigin(strings.Replace(origin, "://*.", "://.", 1))
	if !ok {
		return false
	}
	if strings.HasPrefix(p.host, ".") || p.port == "*" {
		c.patterns = append(c.patterns, p)
		return true
	}
	c.exact[p.scheme+"://"+p.host+p.port] = true
	return true
}

// matches reports whether an origin is in the list. Browsers send it in lower case and
// without the scheme's default port.
func (c *CORS) matches(origin string) bool {
	if c.exact[origin] {
		return true
	}
	if c.patterns == nil || len(origin) > 300 {
		return false
	}
	o, ok := splitOrigin(origin)
	if !ok || strings.HasPrefix(o.host, ".") || o.port == "*" {
		return false
	}
	for _, p := range c.patterns {
		sameHost := o.host == p.host
		if strings.HasPrefix(p.host, ".") {
			sameHost = strings.HasSuffix(o.host, p.host)
		}
		if o.scheme == p.scheme && sameHost && (p.port == "*" || o.port == p.port) {
			return true
		}
	}
	return false
}

// splitOrigin parses scheme://host or scheme://host:port. The port keeps its colon, may
// be *, and is empty if it is the scheme's default.
func splitOrigin(s string) (originPattern, bool) {
	var p originPattern
	scheme, rest, found := strings.Cut(s, "://")
	if !found || scheme != "https" && scheme != "http" {
		return p, false
	}
	p.scheme, p.host = scheme, rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		p.host, p.port = rest[:i], rest[i:]
		if p.port == ":*" {
			p.port = "*"
		} else if len(p.port) < 2 || len(p.port) > 6 || strings.Trim(p.port[1:], "0123456789") != "" {
			return p, false
		}
	}
	if scheme == "https" && p.port == ":443" || scheme == "http" && p.port == ":80" {
		p.port = ""
	}
	name := strings.Trim(p.host, "abcdefghijklmnopqrstuvwxyz0123456789-._")
	bracketed := strings.HasPrefix(p.host, "[") && strings.HasSuffix(p.host, "]") && strings.Trim(p.host, "[]0123456789abcdef:.") == ""
	return p, strings.Trim(p.host, ".") != "" && (name == "" || bracketed)
}

func setOf(values []string) map[string]bool {
	m := map[string]bool{}
	for _, v := range values {
		m[v] = true
	}
	return m
}
