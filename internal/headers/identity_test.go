package headers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
)

// foreignIdentity are headers by which other proxies name the user.
var foreignIdentity = []string{
	"X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token",
	"X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token",
	"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups", "OIDC-CLAIM-sub", "OIDC-CLAIM-email", "OIDC-CLAIM-a-b",
}

func TestIdentityHeadersOfOthers(t *testing.T) {
	c := NewCleaner(nil, nil)
	for _, name := range foreignIdentity {
		for _, s := range spellings(name) {
			t.Run("L19 "+s, func(t *testing.T) {
				r := &http.Request{Header: http.Header{s: {"evil"}, "Accept": {"*/*"}, "Connection": {"close, " + s}}, Trailer: http.Header{s: {"evil"}}}
				c.Clean(r)
				if want := (http.Header{"Accept": {"*/*"}, "Connection": {"close"}}); !reflect.DeepEqual(r.Header, want) || len(r.Trailer) != 0 {
					t.Errorf("left: %v, %v", r.Header, r.Trailer)
				}
			})
		}
		if c.Harmless().Load().(map[string]bool)[textproto.CanonicalMIMEHeaderKey(name)] {
			t.Errorf("L19 %s is harmless", name)
		}
	}
	others := http.Header{
		"X-Auth-Request": {"a"}, "X-Auth-Requests-User": {"b"}, "X-Forwarded-For": {"c"}, "X-Forwarded-Emails": {"d"}, "Remote": {"e"},
		"Remote-Addr": {"f"}, "Remote-Users": {"g"}, "X-Remote-User": {"h"}, "Oidc-Claim": {"i"}, "X-Oidc-Claim-Sub": {"j"}, "Oidc-Claims-Sub": {"k"},
	}
	r := &http.Request{Header: others.Clone()}
	for i := 0; i < 2; i++ {
		if c.Clean(r); !reflect.DeepEqual(r.Header, others) {
			t.Fatalf("others do not stay: %v", r.Header)
		}
	}
}

func TestKeptHeaders(t *testing.T) {
	c := NewCleaner([]string{"X-Mail"}, []string{"remote-user", "OIDC_CLAIM_sub"})
	for i := 0; i < 2; i++ {
		r := &http.Request{Header: http.Header{
			"Remote-User": {"alice"}, "Oidc_claim_sub": {"alice"}, "Remote_user": {"evil"}, "Remote-Email": {"evil"}, "Oidc-Claim-Sub": {"evil"},
			"Oidc_claim_email": {"evil"}, "X-Forwarded-User": {"evil"}, "Connection": {"Remote-User, Te"},
		}}
		c.Clean(r)
		if want := (http.Header{"Remote-User": {"alice"}, "Oidc_claim_sub": {"alice"}, "Connection": {"Te"}}); !reflect.DeepEqual(r.Header, want) {
			t.Errorf("L19 left: %v", r.Header)
		}
	}
}

// A proxy before Traefik sets a kept header, but no trailer. A trailer is the client's.
func TestKeptHeadersInTrailers(t *testing.T) {
	c := NewCleaner(nil, []string{"Remote-User"})
	t.Run("L19 G13 a kept header that was announced", func(t *testing.T) {
		r := &http.Request{Header: http.Header{"Remote-User": {"alice"}}, Trailer: http.Header{"Remote-User": {"evil"}, "X-Checksum": {"1"}}}
		if !c.Clean(r) || len(r.Trailer) != 1 || r.Trailer.Get("X-Checksum") != "1" || r.Header.Get("Remote-User") != "alice" {
			t.Errorf("left: %v and %v", r.Header, r.Trailer)
		}
	})
	t.Run("L19 G13 a kept header at the end of the body", func(t *testing.T) {
		r := &http.Request{Header: http.Header{}, TransferEncoding: []string{"chunked"}, Body: io.NopCloser(strings.NewReader("a"))}
		c.Clean(r)
		r.Trailer = http.Header{"Remote-User": {"evil"}, "X-Checksum": {"1"}}
		_, _ = io.Copy(io.Discard, r.Body)
		if len(r.Trailer) != 1 || r.Trailer.Get("X-Checksum") != "1" {
			t.Errorf("left: %v", r.Trailer)
		}
	})
	t.Run("L19 G13 too many names at the end of the body, for a copy of the request", func(t *testing.T) {
		r := &http.Request{Header: http.Header{}, Trailer: http.Header{"X-Checksum": nil}, TransferEncoding: []string{"chunked"}, Body: io.NopCloser(strings.NewReader("a"))}
		c.Clean(r)
		passed := r.WithContext(context.Background())
		r.Trailer["X-Forwarded-User"] = []string{"evil"}
		for i := 0; i <= MaxNames; i++ {
			r.Trailer[fmt.Sprintf("X-%d", i)] = []string{"1"}
		}
		_, _ = io.Copy(io.Discard, passed.Body)
		if len(passed.Trailer) != 0 {
			t.Errorf("%d names are left", len(passed.Trailer))
		}
	})
}

func TestCheckKept(t *testing.T) {
	for _, name := range append([]string{"remote_user", "x-auth-request-email", "OIDC_CLAIM_preferred_username"}, foreignIdentity...) {
		if err := CheckKept(name, []string{"X-Mail"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		"X-Forwarded-User": "sets it", "x_user_groups": "sets it", "X-Auth-Request-User": "sets it", "X-Auth-Request-Redirect": "sets it", "X-Auth-Request-Token": "sets it",
		"Remote-Name": "headers sets it", "remote_name": "headers sets it", "X-Other": "not removed", "OIDC_CLAIM_": "not removed", "X-Auth-Request-": "not removed",
		"": "no", "a b": "not a header's name", "Remote-User:": "not a header's name", "X-Auth-Request-Redirect ": "not a header's name",
	} {
		err := CheckKept(name, []string{"X-Mail", "Remote-Name"})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v does not say %q", name, err, says)
		}
	}
}
