package interpreted

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// TestHostileRequestsOfRules is TestHostileRequests where access rules decide.
func TestHostileRequestsOfRules(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes half a minute; the race detector slows the standard library most")
	}
	few := []any{
		a{"paths": []any{"/admin"}, "require": "Group(`nobody`)"},
		a{"paths": []any{"/open"}, "unauthenticated": "pass"},
	}
	many := few
	for i := range 200 {
		many = append(many, a{"paths": []any{fmt.Sprintf("/zone/area-%d", i)}, "methods": []any{"GET"}, "hosts": []any{appHost}})
	}
	for name, rules := range map[string][]any{"two rules": few, "202 rules": many} {
		t.Run(name, func(t *testing.T) {
			options := map[string]any{"excludedURLs": []any{"/public"}, "logLevel": "error", "accessRules": rules}
			s := newSite(t, setup{options: options})
			session := cookie + "=" + s.value(s.signedIn("alice"))
			all := optionsFor(s.provider)
			maps.Copy(all, options)
			h := s.plugin.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), t.Name(), all)
			costLittle(t, h, ruledFloods("Cookie: "+session))
		})
	}
}

// ruledFloods are those that rules by path read.
func ruledFloods(in string) []flood {
	signedIn, stranger, public, open := request("GET /x", in), request("GET /x"), request("GET /public/x"), request("GET /open/x")
	return []flood{
		{"L50 a megabyte in the path, signed in", signedIn, request("GET /"+strings.Repeat("a", 990_000), in), 403},
		{"L50 a megabyte of segments, signed in", signedIn, request("GET /"+strings.Repeat("a/", 490_000), in), 403},
		{"L50 the longest path, signed in", signedIn, request("GET /"+strings.Repeat("a/", 2_040), in), 200},
		{"L50 a megabyte in the path, not signed in", stranger, request("GET /" + strings.Repeat("a/", 490_000)), 401},
		{"L50 an absolute form, not signed in", stranger, absolute("/x"), 401},
		{"L50 an absolute form of a public path", public, absolute("/public/x"), 401},
		{"L50 an absolute form of a path that passes", open, absolute("/open/x"), 401},
		{"L50 a letter beyond ASCII, not signed in", stranger, request("GET /zone/area-%c3%a9"), 401},
		{"L50 a letter beyond ASCII, signed in", signedIn, request("GET /z%c3%a9", in), 403},
		{"L50 a path of letters beyond ASCII, signed in", signedIn, request("GET /zone/area-"+strings.Repeat("%c3%a9", 2_000), in), 200},
		{"L50 a path with two readings, signed in", signedIn, request("GET /zone//x", in), 403},
		{"L50 a long method, signed in", signedIn, request(strings.Repeat("G", 900_000)+" /x", in), 200},
	}
}

// cookieFloods are further headers of cookies, in which each byte is one at which a name
// of ours may begin, or continue.
func cookieFloods(session string) []flood {
	in := "Cookie: " + session
	signedIn, stranger, public := request("GET /x", in), request("GET /x"), request("GET /public/x")
	long := strings.Repeat("x", 60_000)
	headers := func(value string) []string {
		return strings.Split(strings.TrimSuffix(strings.Repeat("Cookie: "+value+"\n", 100), "\n"), "\n")
	}
	return []flood{
		{"L51 one long cookie of ours on a public path", public, request("GET /public/x", "Cookie: "+cookie+"="+long), 200},
		{"L51 one long cookie of ours, not signed in", stranger, request("GET /x", "Cookie: "+cookie+"="+long), 401},
		{"L51 the long name of a sign-in on a public path", public, request("GET /public/x", "Cookie: "+cookie+"-s-"+long), 200},
		{"L51 a long sign-in, signed in", signedIn, request("GET /x", in+"; "+cookie+"-s-abcdefgh="+long), 200},
		{"L51 tabs after our name on a public path", public, request("GET /public/x", "Cookie: "+cookie+strings.Repeat("\t", 60_000)+"x"), 200},
		{"L51 our name 490 times with long ends on a public path", public, request("GET /public/x", "Cookie: "+strings.Repeat(cookie+"-s-"+strings.Repeat("x", 110), 490)), 200},
		{"L51 our name 490 times with tabs on a public path", public, request("GET /public/x", "Cookie: "+strings.Repeat(cookie+"\t", 490)+strings.Repeat("\t", 50_000)+"x"), 431},
		{"L51 semicolons before another middleware's cookie", public, request("GET /public/x", "Cookie: a"+strings.Repeat(";", 60_000)+siblingCookie+"=x"), 200},
		{"L51 beginnings of another middleware's name", public, request("GET /public/x", "Cookie: "+strings.Repeat("; __Host-siblin", 4_000)+siblingCookie+"=x"), 200},
		{"L51 another middleware's cookie behind 60 KB, signed in", signedIn, request("GET /x", in+"; "+strings.Repeat("a;", 30_000)+siblingCookie+"=x"), 200},
		{"L51 a long cookie of another middleware on a public path", public, request("GET /public/x", "Cookie: "+siblingCookie+"="+long), 200},
		{"L51 a hundred headers with a cookie of ours", public, request("GET /public/x", headers(cookie+"="+strings.Repeat("y", 600))...), 431},
		{"L51 a hundred headers with our name", public, request("GET /public/x", headers("a="+cookie+strings.Repeat(" ;", 300))...), 200},
		{"L51 a hundred headers with another middleware's name", public, request("GET /public/x", headers("a="+siblingCookie+strings.Repeat("; ", 300))...), 200},
	}
}
