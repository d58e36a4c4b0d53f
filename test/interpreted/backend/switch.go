package backend

import (
	"fmt"
	"net/http"
	"strings"
)

// Switch accepts whatever protocol r offers, as servers do that speak h2c, and then
// answers every line that comes with the same line: a tunnel. It reports whether r
// offered one.
func Switch(w http.ResponseWriter, r *http.Request) bool {
	offered := strings.Join(r.Header["Upgrade"], ",")
	if offered == "" {
		return false
	}
	c, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return false
	}
	defer c.Close()
	if strings.Contains(offered, "h2c") {
		offered = "h2c"
	}
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", offered)
	for {
		line, err := buffer.ReadString('\n')
		if err != nil {
			return true
		}
		if _, err := c.Write([]byte(line)); err != nil {
			return true
		}
	}
}
