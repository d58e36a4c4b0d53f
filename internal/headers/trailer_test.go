package headers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
)

// names returns those of a header or trailer, in order.
func names(h http.Header) string {
	var list []string
	for n := range h {
		list = append(list, n)
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

// Two defences keep the middleware's names out of the trailer. Announced names are
// removed before the request is passed on. Those at the end of the body are removed
// then.
func TestTrailersOfChunkedBodies(t *testing.T) {
	c := NewCleaner(nil, nil)
	var before, after string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.Clean(r)
		before = names(r.Trailer)
		_, _ = io.Copy(io.Discard, r.Body)
		after = names(r.Trailer)
	}))
	defer server.Close()
	for _, row := range []struct{ name, announced, before, after string }{
		{"G13 announced names", "X-Forwarded-User, X_User_Groups, X-Checksum", "X-Checksum", "X-Checksum"},
		{"G13 names that were not announced", "", "", "X-Checksum"},
		{"G13 another name than was announced", "X-Checksum", "X-Checksum", "X-Checksum"},
		{"G13 only the plugin's names", "X-Forwarded-User", "", "X-Checksum"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			announced := ""
			if row.announced != "" {
				announced = "Trailer: " + row.announced + "\r\n"
			}
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%s\r\n1\r\na\r\n0\r\n"+
				"X-Forwarded-User: evil\r\nx_user_groups: evil\r\nX-USER-ROLES: evil\r\nX-Checksum: 1\r\n\r\n", announced)
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatal(err)
			}
			if before != row.before || after != row.after {
				t.Errorf("names before the body %q, want %q; after it %q, want %q", before, row.before, after, row.after)
			}
		})
	}
}
