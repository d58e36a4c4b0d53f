package interpreted

import (
	"net/http"
	"testing"
)

func TestTrailers(t *testing.T) {
	whole := newSite(t, setup{options: map[string]any{"excludedURLs": []any{"/public"}}})

	// There are two defences. Announced trailers are cleaned before the request goes on,
	// and the trailers that come are cleaned at the end of the body.
	t.Run("G13 trailers", func(t *testing.T) {
		s := whole.in(t)
		session := "Cookie: " + cookie + "=" + s.value(s.signedIn("alice"))
		for _, path := range []string{"/public/x", "/x"} {
			for _, announced := range []string{"X-Forwarded-User, X_User_Groups, X-Checksum", "X-Checksum"} {
				res := s.raw("POST "+path+" HTTP/1.1", "Host: "+appHost, session, "Transfer-Encoding: chunked", "Trailer: "+announced, "", "3", "abc", "0",
					"X-Forwarded-User: intruder", "X_User_Groups: admins", "x-user_roles: admin", "X-Checksum: 900150983cd24fb0", "", "")
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s: status %d", path, res.StatusCode)
				}
				seen := s.echo.Last()
				for _, name := range seen.Announced {
					if name != "X-Checksum" {
						t.Errorf("%s, announced %s: the backend may expect %s", path, announced, name)
					}
				}
				if seen.Body != "abc" {
					t.Errorf("%s: body %q", path, seen.Body)
				}
				for k, v := range seen.Trailer {
					if k != "X-Checksum" {
						t.Errorf("%s, announced %s: trailer %s: %q", path, announced, k, v)
					}
				}
			}
		}
	})
}
