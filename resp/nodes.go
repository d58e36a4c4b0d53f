package resp

import (
	"context"
	"sort"
	"strings"
)

// delEach is Del of keys that may be in different slots.
func (c *Client) delEach(ctx context.Context, keys []string) (int64, error) {
	var cmds []Command
	for _, k := range keys {
		cmds = append(cmds, Command{"DEL", k})
	}
	replies, err := c.Phases(ctx, [][]Command{cmds})
	var sum int64
	for i := 0; err == nil && i < len(replies); i++ {
		var n int64
		n, err = replies[i].Integer()
		sum += n
	}
	return sum, err
}

// scanNodes is Scan in a cluster. Its cursors are "0", and that of a node, a space and the
// address of the node.
func (c *Client) scanNodes(ctx context.Context, cursor, pattern string, count int) ([]string, string, error) {
	m, err := c.slots(ctx)
	if err != nil {
		return nil, "", err
	}
	at, address, _ := strings.Cut(cursor, " ")
	if address == "" {
		address = m.masters[0]
	}
	keys, next, err := c.scan(ctx, address, at, pattern, count)
	if err != nil {
		return nil, "", err
	}
	if next != "0" {
		return keys, next + " " + address, nil
	}
	i := sort.SearchStrings(m.masters, address)
	if i < len(m.masters) && m.masters[i] == address {
		i++
	}
	if i == len(m.masters) {
		return keys, "0", nil
	}
	return keys, "0 " + m.masters[i], nil
}

// slots returns the slots of the cluster, within the budget of an operation.
func (c *Client) slots(ctx context.Context) (*slotMap, error) {
	return c.begin(ctx, c.only.now(), opOther, nil).locate()
}

// Runs returns the run IDs of the server, or of all masters of the cluster in a fixed order.
// It is empty where a server does not send it.
func (c *Client) Runs(ctx context.Context) (string, error) {
	if c.router == nil {
		r, err := c.Do(ctx, "INFO", "server")
		return InfoField(r, "run_id"), err
	}
	m, err := c.slots(ctx)
	if err != nil {
		return "", err
	}
	var runs []string
	for _, address := range m.masters {
		t := c.begin(ctx, c.only.now(), opOther, []string{"INFO", "server"})
		t.target = address
		r, err := t.run()
		if err != nil {
			return "", err
		}
		runs = append(runs, InfoField(r, "run_id"))
	}
	return joinRuns(runs), nil
}

// joinRuns returns one text for several run IDs, or nothing where one is not known.
func joinRuns(runs []string) string {
	sort.Strings(runs)
	if len(runs) == 0 || runs[0] == "" {
		return ""
	}
	return strings.Join(runs, " ")
}

// InCluster reports whether the servers are the nodes of a cluster.
func (c *Client) InCluster() bool {
	return c.router != nil
}
