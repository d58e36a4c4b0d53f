package cache_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/cache/cachetest"
	"github.com/traefikoidc/traefikoidc/cache/hybrid"
	"github.com/traefikoidc/traefikoidc/cache/redis"
	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/resp"
	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// clustered returns the options of a cluster that is followed to the end of the test.
func clustered(t *testing.T, g *redistest.Cluster, prefix, username, password string) redis.Options {
	t.Helper()
	server := resp.Options{OperationTimeout: 20 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second, PoolSize: 16}
	server.Username, server.Password = username, password
	c := resp.NewCluster(resp.ClusterOptions{Addresses: g.Addresses(), Node: server, Timeout: 20 * time.Second})
	c.Start()
	t.Cleanup(c.Close)
	server.Topology = c.Topology()
	return redis.Options{Server: server, Prefix: prefix}
}

func TestRecordsInACluster(t *testing.T) {
	g := redistest.StartCluster(t, 2, false)
	for _, node := range g.Nodes {
		node.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha", "-script")
	}
	for name, user := range map[string]string{"Redis": "", "Redis without scripts": "app"} {
		t.Run(name, func(t *testing.T) {
			cachetest.Run(t, func(t *testing.T) cachetest.Subject {
				password := ""
				if user != "" {
					password = "secret"
				}
				r := redis.New(clustered(t, g, freshPrefix(), user, password))
				t.Cleanup(r.Close)
				return cachetest.Subject{Backend: r}
			})
		})
	}
	t.Run("Hybrid", func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cachetest.Subject {
			return cachetest.Subject{Backend: clusterReplica(t, g, freshPrefix())}
		})
	})
}

func clusterReplica(t *testing.T, g *redistest.Cluster, prefix string) *replica {
	t.Helper()
	l := &log{causes: map[hybrid.Event]error{}}
	r := &replica{Hybrid: hybrid.New(hybrid.Options{Redis: clustered(t, g, prefix, "", ""), Observer: l}), t: t, log: l}
	t.Cleanup(r.Close)
	r.Start()
	r.until("tracking", func(x hybrid.Stats) bool { return x.Tracking && x.Connected && x.Leases })
	return r
}

// A failover is another server with the same data: revocations of another replica stay,
// and changes at one are known at the other again.
func TestAFailoverInACluster(t *testing.T) {
	g := redistest.StartCluster(t, 2, true)
	a, b := clusterReplica(t, g, "x"), clusterReplica(t, g, "x")
	key := func(i int) string { return "s:{" + strconv.Itoa(i) + "}k" }
	for i := range 20 {
		ok(t, a.put(key(i), live(1)))
		b.is(key(i), "1")
	}
	ok(t, a.put(key(0), revoked()))
	b.becomes(key(0), "revoked")
	g.Failover(0)
	for i := 1; i < 20; i++ {
		a.becomes(key(i), "1")
		b.becomes(key(i), "1")
	}
	a.until("the links are up again", func(x hybrid.Stats) bool { return x.Tracking && !x.Fallback && x.Leases })
	b.until("the links are up again", func(x hybrid.Stats) bool { return x.Tracking && !x.Fallback && x.Leases })
	for i := 1; i < 20; i++ {
		ok(t, a.put(key(i), revoked()))
		b.becomes(key(i), "revoked")
	}
	if a.log.count(hybrid.DataLost)+b.log.count(hybrid.DataLost) != 0 {
		t.Error("taken for a loss of data")
	}
	for i := 20; i < 30; i++ {
		ok(t, a.put(key(i), live(1)))
		b.is(key(i), "1")
	}
	ok(t, a.Clear(context.Background()))
	for i := 20; i < 30; i++ {
		b.becomes(key(i), "miss")
	}
}

// A node that starts without its data signs nobody out: the id of the data set is at
// another node, and says nothing about it.
func TestANodeWithoutItsDataIsNoSignOut(t *testing.T) {
	g := redistest.StartCluster(t, 2, false)
	writer, a := clusterReplica(t, g, "x"), clusterReplica(t, g, "x")
	key := func(i int) string { return "s:{" + strconv.Itoa(i) + "}k" }
	for i := range 20 {
		ok(t, writer.put(key(i), live(1)))
		a.is(key(i), "1")
	}
	ok(t, writer.put(key(0), revoked()))
	a.becomes(key(0), "revoked")
	writer.Close()
	for node := range g.Nodes {
		g.Nodes[node].Kill()
		g.Nodes[node].Start()
		for i := 1; i < 20; i++ {
			a.is(key(i), "1")
		}
		a.until("all is given back", func(x hybrid.Stats) bool { return x.Tracking && !x.Fallback && x.Leases })
		for i := range 20 {
			eventually.True(t, key(i)+" is in Redis again", func() bool {
				return g.Nodes[g.Slot("x:"+key(i))*len(g.Nodes)/16384].Do("EXISTS", "x:"+key(i)).Int == 1
			})
		}
		a.is(key(0), "revoked")
	}
}
