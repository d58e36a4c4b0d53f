package headers

import (
	"net/http"
	"regexp"
	"strings"
)

// settingsOfHTTP2 is the spelling of the header that a client sends with an offer of
// HTTP/2 over cleartext, which RFC 9113, section 3.1, has removed.
const settingsOfHTTP2 = "http2-settings"

// upgradeOption matches the option of a Connection header that goes with Upgrade, in a
// list whose elements each have commas of their own.
var upgradeOption = regexp.MustCompile("(?i),[ \t]*upgrade[ \t]*,")

// cleanUpgrade removes every offer to change the protocol, except that of a WebSocket.
// A backend that accepts another one, such as h2c, gets a connection of the client's
// own through the proxy. The plugin sees no later request on it.
func cleanUpgrade(r *http.Request) {
	offers := r.Header["Upgrade"]
	if len(offers) > 0 && !webSocket(r, offers) {
		delete(r.Header, "Upgrade")
	}
}

// webSocket reports whether r opens a WebSocket and nothing else (RFC 6455, section
// 4.1). An HTTP/1.0 client cannot (RFC 9110, section 7.8). The length excludes the
// letters beyond ASCII that EqualFold takes for an s or a k.
func webSocket(r *http.Request, offers []string) bool {
	return len(offers) == 1 && len(offers[0]) == len("websocket") && strings.EqualFold(offers[0], "websocket") &&
		r.Method == http.MethodGet && r.ProtoAtLeast(1, 1)
}
