package resp

import (
	"context"
	"crypto/tls"
	"math/rand"
	"net"
	"time"
)

// Options say how to reach a server, and how long and how often to try.
type Options struct {
	// Network is "tcp" or "unix". Empty means tcp.
	Network string
	// Address is host:port, or the path of a unix socket. A name is resolved
	// at every dial.
	Address string
	// Location replaces Address by one that changes. The server is a master that has
	// replicas, and only a connection to a master is used. Nil means Address.
	Location *Location
	// Topology replaces Address by the nodes of a cluster: each command goes to the node that
	// has the slot of its first key. Nil means one server.
	Topology *Topology
	// Node says that the server may be a node of a cluster, although all commands go to it.
	// Otherwise a connection to one fails with ErrClusterNode.
	Node bool
	// MaxRedirects is the most redirects of a cluster that an operation follows. Zero
	// means 3, negative none.
	MaxRedirects int
	// Username and Password authenticate the connection. A password without a
	// name is for the default user. If both are empty there is no authentication.
	Username, Password string
	// DB is the database to select.
	DB int
	// ClientName is the name in CLIENT LIST. Empty sets none.
	ClientName string
	// TLS makes every connection a TLS connection. Nil means plain text. The
	// server name defaults to the host of Address.
	TLS *tls.Config
	// TLSFiles are read again at dials where TLS is not nil.
	TLSFiles TLSFiles
	// Dial opens the connections, until ctx is done at the latest. Nil means a
	// net.Dialer's DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// PoolSize is the most connections at a time. Zero means 10.
	PoolSize int
	// MinIdle connections are kept open, once the client has been used, as
	// long as PoolSize allows. Zero keeps none.
	MinIdle int
	// MaxWaiting is the most operations that wait for a connection at a time.
	// The next fails with ErrPoolTimeout at once. Zero means 4096.
	MaxWaiting int
	// MaxConnAge closes a connection that is this old, give or take a tenth.
	// Zero means an hour, negative never.
	MaxConnAge time.Duration
	// IdleTimeout closes a connection that was not used for so long. Zero
	// means 15 minutes, negative never.
	IdleTimeout time.Duration
	// PoolTimeout bounds an operation's wait for a connection, the time to
	// open one included. Zero means 4 s.
	PoolTimeout time.Duration

	// DialTimeout bounds the opening of a connection: resolving, connecting,
	// TLS, authentication. Zero means 5 s.
	DialTimeout time.Duration
	// ReadTimeout and WriteTimeout each bound one exchange. Zero means 3 s.
	ReadTimeout, WriteTimeout time.Duration
	// OperationTimeout is the whole budget of an operation: its wait for a
	// connection, its attempts, and the pauses between them. Zero means 500 ms.
	OperationTimeout time.Duration
	// MaxRetries is the most attempts after the first. Zero means 3, negative
	// none.
	MaxRetries int

	// Limits bound the replies.
	Limits Limits

	// Now is the clock by which connections age. Nil means time.Now. Deadlines
	// of exchanges are always in real time.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Network == "" {
		o.Network = "tcp"
	}
	o.PoolSize = orDefault(o.PoolSize, 10)
	o.MaxWaiting = orDefault(o.MaxWaiting, 4096)
	if o.MinIdle > o.PoolSize {
		o.MinIdle = o.PoolSize
	}
	o.MaxConnAge = orDuration(o.MaxConnAge, time.Hour)
	o.IdleTimeout = orDuration(o.IdleTimeout, 15*time.Minute)
	o.PoolTimeout = orDuration(o.PoolTimeout, 4*time.Second)
	o.DialTimeout = orDuration(o.DialTimeout, 5*time.Second)
	o.ReadTimeout = orDuration(o.ReadTimeout, 3*time.Second)
	o.WriteTimeout = orDuration(o.WriteTimeout, 3*time.Second)
	o.OperationTimeout = orDuration(o.OperationTimeout, 500*time.Millisecond)
	if o.MaxRetries == 0 {
		o.MaxRetries = 3
	}
	if o.MaxRedirects == 0 {
		o.MaxRedirects = 3
	}
	o.Limits = o.Limits.withDefaults()
	return o
}

// where names the server in errors.
func (o *Options) where() string {
	if o.Address == "" && o.Location != nil {
		return o.Location.name
	}
	return o.Address
}

func orDuration(v, d time.Duration) time.Duration {
	if v == 0 {
		return d
	}
	return v
}

// budget is the most time for an operation. ReadTimeout and WriteTimeout bound an
// exchange too.
func (o *Options) budget() time.Duration {
	d := o.OperationTimeout
	if o.ReadTimeout < d {
		d = o.ReadTimeout
	}
	if o.WriteTimeout < d {
		d = o.WriteTimeout
	}
	return d
}

// age draws how long a connection opened now may live.
func (o Options) age() time.Duration {
	if o.MaxConnAge < 0 {
		return 1 << 60
	}
	tenth := int64(o.MaxConnAge/10) + 1
	return o.MaxConnAge + time.Duration(rand.Int63n(2*tenth)-tenth)
}
