package resp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/resptest"
)

// slotLine is a line of CLUSTER SLOTS.
func slotLine(first, last int, s *resptest.Server) string {
	host, port, _ := net.SplitHostPort(s.Addr())
	return fmt.Sprintf("*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%s\r\n:%s\r\n", first, last, len(host), host, port)
}

// inCluster returns a client of the servers as nodes of a cluster, with equal shares of
// the slots. Each server redirects GET.
func inCluster(t *testing.T, redirects map[*resptest.Server]string, nodes ...*resptest.Server) (*Client, *Topology) {
	t.Helper()
	reply := "*" + strconv.Itoa(len(nodes)) + "\r\n"
	for i, s := range nodes {
		reply += slotLine(i*slotCount/len(nodes), (i+1)*slotCount/len(nodes)-1, s)
	}
	for _, s := range nodes {
		s.Inject(resptest.Fault{Command: "CLUSTER", Key: "SLOTS", Reply: reply})
		s.Inject(resptest.Fault{Command: "CLUSTER", Key: "INFO", Reply: "$16\r\ncluster_state:ok\r\n"})
		s.Inject(resptest.Fault{Command: "GET", Reply: redirects[s]})
	}
	o := patient("")
	o.Password = "secret"
	c := NewCluster(ClusterOptions{Addresses: []string{nodes[0].Addr()}, Node: o, Timeout: forever, Poll: forever})
	c.Start()
	t.Cleanup(c.Close)
	o.Topology = c.Topology()
	client := NewClient(o)
	t.Cleanup(client.Close)
	return client, c.Topology()
}

func TestRedirectsOfANode(t *testing.T) {
	for _, word := range []string{"MOVED", "ASK"} {
		t.Run("J16 "+word+" to a server that is no node of the cluster", func(t *testing.T) {
			foreign, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer foreign.Close()
			var reached atomic.Int64
			go func() {
				for {
					nc, err := foreign.Accept()
					if err != nil {
						return
					}
					reached.Add(1)
					_ = nc.Close()
				}
			}()
			s := resptest.Start(t)
			s.Require("default", "secret")
			c, topology := inCluster(t, map[*resptest.Server]string{s: "-" + word + " 5 " + foreign.Addr().String() + "\r\n"}, s)
			_, err = c.Get(bg, "k")
			if !errors.Is(err, ErrRejected) {
				t.Errorf("%v", err)
			}
			replies, err := c.Pipeline(bg, []Command{{"GET", "k"}})
			if err != nil || !errors.Is(replies[0].Err(), ErrRejected) {
				t.Errorf("a pipeline: %v, %v", replies, err)
			}
			if reached.Load() != 0 {
				t.Errorf("%d connections to the foreign server", reached.Load())
			}
			if st := topology.Stats(); st.Unknown == 0 || st.Moved+st.Asked != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
	t.Run("J17 redirects in a circle", func(t *testing.T) {
		a := resptest.Start(t)
		a.Require("default", "secret")
		b := resptest.Start(t)
		b.Require("default", "secret")
		c, topology := inCluster(t, map[*resptest.Server]string{
			a: "-MOVED 5 " + b.Addr() + "\r\n", b: "-MOVED 5 " + a.Addr() + "\r\n",
		}, a, b)
		if _, err := c.Get(bg, "k"); !errors.Is(err, ErrRejected) {
			t.Errorf("%v", err)
		}
		if st := topology.Stats(); st.Moved != 3 || st.Unknown != 0 {
			t.Errorf("%+v", st)
		}
	})
}
