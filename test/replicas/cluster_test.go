package replicas

import (
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// sessionsIn is how many live sessions the nodes of a cluster have.
func sessionsIn(t testing.TB, g *redistest.Cluster) int {
	n := 0
	for i, node := range g.Nodes {
		if g.IsMaster(i) {
			n += (&server{Fixture: node, t: t}).sessions("traefikoidc")
		}
	}
	return n
}

// Users stay signed in through failovers of a cluster, and signed-out users stay out.
func TestAFailoverOfAClusterNode(t *testing.T) {
	t.Parallel()
	g := redistest.StartCluster(t, 3, true)
	rule := strings.Fields("ACL SETUSER traefikoidc on >secret ~traefikoidc:* " + leastPrivileges + " +asking +cluster|slots +cluster|info")
	for _, node := range g.Nodes {
		node.Do(rule...)
	}
	m := newMiddleware(t, oidctest.Options{})
	a, b := m.pair(m.options(hybrid(strings.Join(g.Addresses()[:2], ","), "clusterMode", "true", "username", "traefikoidc", "password", "secret")))
	a.ready()
	b.ready()
	alice, bob := newUser(t, "alice").signIn(a), newUser(t, "bob").signIn(a)
	alice.is(b, "in")
	bob.is(b, "in")
	left := bob.copy()
	bob.signOut(a)
	left.becomes(b, "provider")
	for i := range 3 {
		g.Failover(i)
	}
	alice.becomes(a, "in")
	alice.becomes(b, "in")
	left.becomes(b, "provider")
	left.is(a, "provider")

	eventually.True(t, "the new masters have the sessions of new sign-ins", func() bool {
		before := sessionsIn(t, g)
		newUser(t, "carol").signIn(b)
		return sessionsIn(t, g) > before
	})
	out := alice.copy()
	alice.signOut(b)
	out.becomes(a, "provider")
	if log := a.log() + b.log(); strings.Contains(log, "was used twice") {
		t.Errorf("the log:\n%s", log)
	}
}
