package policytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/policy"
)

// A node is a random expression: a matcher, or an operator over others.
type node struct {
	op      string // a matcher's name, or &&, || or !
	claim   string // of Claim, ClaimPrefix and ClaimRegexp
	values  []string
	a, b    *node
	grouped bool // written in parentheses
}

func (g *game) tree(depth int) *node {
	n := &node{grouped: g.one(3)}
	if depth > 0 && !g.one(3) {
		n.op = g.pick([]string{"&&", "||", "!"})
		n.a = g.tree(depth - 1)
		if n.op != "!" {
			n.b = g.tree(depth - 1)
		}
		return n
	}
	n.op = g.pick([]string{"Claim", "ClaimPrefix", "ClaimRegexp", "User", "Domain", "Group", "Role", "Scope", "Provider", "ACR"})
	list := words
	switch n.op {
	case "Claim", "ClaimPrefix", "ClaimRegexp":
		n.claim = g.pick([]string{"groups", "roles", "dept", "email", "none"})
	case "User":
		list = addresses
	case "Domain":
		list = domains
	case "Provider":
		list = []string{"https://id.example", "https://other.example"}
	}
	n.values = append(n.values, g.pick(list))
	if g.one(3) {
		n.values = append(n.values, g.pick(list))
	}
	return n
}

// text writes the expression with the parentheses that it needs.
func (n *node) text() string {
	text := ""
	switch n.op {
	case "&&", "||":
		text = n.a.operand(n.op) + " " + n.op + " " + n.b.operand(n.op)
	case "!":
		text = "!" + n.a.operand("!")
	default:
		quoted := []string{}
		if n.claim != "" {
			quoted = append(quoted, "`"+n.claim+"`")
		}
		for i, v := range n.values {
			if i == 0 {
				quoted = append(quoted, "`"+v+"`")
			} else {
				quoted = append(quoted, fmt.Sprintf("%q", v))
			}
		}
		text = n.op + "(" + strings.Join(quoted, ", ") + ")"
	}
	if n.grouped {
		return "(" + text + ")"
	}
	return text
}

func (n *node) operand(of string) string {
	text := n.text()
	loose := n.op == "||" && of != "||" || n.op == "&&" && of == "!"
	if loose && !n.grouped {
		return "(" + text + ")"
	}
	return text
}

// holds returns 1 for true, -1 for false and 0 for neither.
func (n *node) holds(c oidc.Claims) int {
	switch n.op {
	case "!":
		return -n.a.holds(c)
	case "&&":
		return least(n.a.holds(c), n.b.holds(c))
	case "||":
		return -least(-n.a.holds(c), -n.b.holds(c))
	}
	have, all := n.source(c)
	for _, v := range have {
		for _, want := range n.values {
			if n.equal(v, want) {
				return 1
			}
		}
	}
	if all {
		return -1
	}
	return 0
}

func least(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func (n *node) equal(v, want string) bool {
	switch n.op {
	case "ClaimPrefix":
		return strings.HasPrefix(v, want)
	case "ClaimRegexp":
		return regexp.MustCompile(want).MatchString(v)
	case "User", "Domain", "Group", "Role":
		return strings.EqualFold(v, want)
	}
	return v == want
}

// source returns the user's values, and whether these are all, and known.
func (n *node) source(c oidc.Claims) ([]string, bool) {
	name := n.claim
	switch n.op {
	case "Group":
		name = "groups"
	case "Role":
		name = "roles"
	case "User", "Domain":
		name = "email"
	case "Provider":
		name = "iss"
	case "ACR":
		name = "acr"
	case "Scope":
		text, ok := c["scope"].(string)
		return strings.Fields(text), ok
	}
	if verified, there := c["email_verified"]; name == "email" && there && verified != true {
		return nil, false
	}
	have, all := flat(c[name])
	if n.op == "Domain" && len(have) == 1 {
		have = []string{have[0][strings.Index(have[0], "@")+1:]}
	}
	return have, all
}

func flat(v any) ([]string, bool) {
	if text, ok := v.(string); ok {
		return []string{text}, true
	}
	if n, ok := v.(json.Number); ok {
		return []string{string(n)}, true
	}
	if b, ok := v.(bool); ok {
		return []string{fmt.Sprint(b)}, true
	}
	var have []string
	if object, ok := v.(map[string]any); ok {
		for key, on := range object {
			if on == true {
				have = append(have, key)
			}
		}
		return have, true
	}
	list, ok := v.([]any)
	all := ok
	for _, one := range list {
		if object, isObject := one.(map[string]any); isObject {
			one = object["name"]
		}
		if text, isText := one.(string); isText {
			have = append(have, text)
		} else {
			all = false
		}
	}
	return have, all
}

// verdict is the plain implementation of the rules.
func (g *game) verdict(c oidc.Claims, r *http.Request) string {
	place := 1
	mode := g.mode
	if mode == "" {
		mode = policy.Auto
	}
	lists := mode
	known := plainPath(r)
	satisfied := true
	first := ""
	for i, one := range g.rules {
		m := g.fits(one.written, r)
		own := one.written.Unauthenticated
		if own == "" && lists != policy.Pass {
			own = lists
		} else if own == "" {
			own = policy.Auto
		}
		if m == "no" || own == policy.Pass && (m == "perhaps" || !known) {
			continue
		}
		ok := one.require == nil || one.require.holds(c) == 1
		satisfied = satisfied && ok
		if m == "yes" {
			place = i + 2
			mode = own
			break
		}
		if first == "" {
			first = own
		}
	}
	if mode == policy.Pass && first != "" {
		mode = first
	}
	if place == 1 && first == "" && g.public(r) {
		return "public"
	}
	if c == nil {
		return "without a session: " + mode
	}
	if place == 1 {
		satisfied = satisfied && g.listed(c)
	}
	return fmt.Sprintf("place %d: %v", place, satisfied)
}

func (g *game) listed(c oidc.Claims) bool {
	user := &node{op: "User", values: g.lists.Users}
	domain := &node{op: "Domain", values: g.lists.Domains}
	group := &node{op: "Group", values: g.lists.RolesAndGroups}
	role := &node{op: "Role", values: g.lists.RolesAndGroups}
	if len(g.lists.Users)+len(g.lists.Domains) > 0 && user.holds(c) != 1 && domain.holds(c) != 1 {
		return false
	}
	if len(g.lists.RolesAndGroups) == 0 {
		return true
	}
	// The allowed lists do not take true for a name.
	_, groupsOn := c["groups"].(bool)
	_, rolesOn := c["roles"].(bool)
	return !groupsOn && group.holds(c) == 1 || !rolesOn && role.holds(c) == 1
}
