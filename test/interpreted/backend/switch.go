package backend

import (
	"fmt"
	"net/http"
	"strings"
)

// Switch accepts any protocol that r offers, as servers with h2c do, and then sends
// every line back, as a tunnel. It reports whether r offered one.
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
