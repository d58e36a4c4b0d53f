package headers

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// separators maps to a dash every character that a server may read as one in a header's
// name. They are the characters of a token (RFC 9110, section 5.6.2) that are neither
// letters nor digits. CGI has only the underscore for them (RFC 3875, section 4.1.18).
var separators = strings.NewReplacer("_", "-", ".", "-", "!", "-", "#", "-", "$", "-", "%", "-", "&", "-", "'", "-",
	"*", "-", "+", "-", "^", "-", "`", "-", "|", "-", "~", "-")

// spelling returns one form for all spellings of a header's name.
func spelling(name string) string {
	return separators.Replace(strings.ToLower(name))
}

// separator matches one of them.
const separator = "[-_.!#$%&'*+^`|~]"

// anySpelling matches every spelling of a header's name, given by spelling, where
// letters match in any case.
func anySpelling(name string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(name), "-", separator)
}

// foreignNames are headers that clients, browsers and Traefik send and that the
// middleware cannot set, in their canonical spelling. A request that has no others
// needs no cleaning.
const foreignNames = `Accept Accept-Charset Accept-Encoding Accept-Language Access-Control-Request-Headers
	Access-Control-Request-Method Access-Control-Request-Private-Network Baggage Cache-Control Cdn-Loop
	Cf-Connecting-Ip Cf-Ipcountry Cf-Ray Cf-Visitor Connection Content-Encoding Content-Language Content-Length
	Content-Type Cookie Date Device-Memory Dnt Downlink Dpr Expect Forwarded From Grpc-Timeout
	Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive
	Last-Event-Id Max-Forwards Next-Action Next-Router-State-Tree Next-Url Origin Pragma Priority
	Proxy-Authenticate Proxy-Authorization Proxy-Connection Purpose Range Referer Rsc Rtt Save-Data
	Sec-Ch-Ua Sec-Ch-Ua-Arch Sec-Ch-Ua-Bitness Sec-Ch-Ua-Full-Version-List Sec-Ch-Ua-Mobile Sec-Ch-Ua-Model
	Sec-Ch-Ua-Platform Sec-Ch-Ua-Platform-Version Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site
	Sec-Fetch-Storage-Access Sec-Fetch-User Sec-Gpc Sec-Purpose Sec-Websocket-Accept Sec-Websocket-Extensions
	Sec-Websocket-Key Sec-Websocket-Protocol Sec-Websocket-Version Service-Worker
	Service-Worker-Navigation-Preload Te Trace-Id Traceparent Tracestate Trailer Transfer-Encoding Upgrade
	Upgrade-Insecure-Requests User-Agent Via Viewport-Width X-Amzn-Trace-Id X-B3-Parentspanid X-B3-Sampled
	X-B3-Spanid X-B3-Traceid X-Correlation-Id X-Csrf-Token X-Csrftoken X-Forwarded-For X-Forwarded-Host
	X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Server X-Forwarded-Tls-Client-Cert
	X-Forwarded-Tls-Client-Cert-Info X-Forwarded-Uri X-Http-Method-Override X-Original-Url X-Purpose X-Real-Ip
	X-Replaced-Path X-Request-Id X-Requested-With X-Rewrite-Url X-Socket-Id X-Xsrf-Token`

// foreignPrefixes begin the names of headers that frame a message or belong to the
// browser.
var foreignPrefixes = [...]string{"content-", "proxy-", "sec-", "if-", "accept"}

// token are the characters of a header's name.
const token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

// checkName reports why a template cannot set a header of this name. It is no name, or
// the header frames the message or belongs to the client or to Traefik. Such a header
// would be removed from every request.
func checkName(name string) error {
	if name == "" || len(name) > 100 || strings.Trim(name, token) != "" {
		return errors.New("is not a header's name")
	}
	s := spelling(name)
	for _, p := range foreignPrefixes {
		if strings.HasPrefix(s, p) {
			return fmt.Errorf("cannot be set: headers that begin with %s are not ours", p)
		}
	}
	if s == "set-cookie" || s == settingsOfHTTP2 || knownNames()[http.CanonicalHeaderKey(s)] {
		return errors.New("cannot be set: it belongs to the client, the connection or Traefik")
	}
	return nil
}

// knownNames returns a new set of the foreign names.
func knownNames() map[string]bool {
	known := map[string]bool{}
	for _, n := range strings.Fields(foreignNames) {
		known[n] = true
	}
	return known
}
