package resptest

import (
	"fmt"
	"strconv"
	"strings"
)

func (c *conn) handshake(args []string) string {
	s := c.s
	switch args[0] {
	case "HELLO":
		return c.hello(args)
	case "AUTH":
		if len(args) == 2 {
			return c.auth("default", args[1])
		}
		if len(args) == 3 {
			return c.auth(args[1], args[2])
		}
		return failure("ERR wrong number of arguments for 'auth' command")
	}
	if len(s.users) > 0 && !c.authed {
		return failure("NOAUTH Authentication required.")
	}
	if args[0] == "SELECT" {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 || n > 15 {
			return failure("ERR DB index is out of range")
		}
		c.db = n
		return ok
	}
	return c.client(args)
}

func (c *conn) hello(args []string) string {
	if len(args) > 1 {
		if args[1] != "2" && args[1] != "3" {
			return failure("NOPROTO unsupported protocol version")
		}
	}
	for i := 2; i < len(args); i++ {
		if strings.EqualFold(args[i], "AUTH") && i+2 < len(args) {
			if reply := c.auth(args[i+1], args[i+2]); reply != ok {
				return reply
			}
			i += 2
		}
	}
	if len(c.s.users) > 0 && !c.authed {
		return failure("NOAUTH HELLO must be called with the client already authenticated")
	}
	if len(args) > 1 {
		c.proto = int(args[1][0] - '0')
	}
	items := []string{
		bulk("server"), bulk("redis"), bulk("version"), bulk("7.0.15"), bulk("proto"), integer(c.proto),
		bulk("id"), integer(1), bulk("mode"), bulk("standalone"), bulk("role"), bulk("master"), bulk("modules"), "*0\r\n",
	}
	if c.proto == 3 {
		return fmt.Sprintf("%%%d\r\n%s", len(items)/2, strings.Join(items, ""))
	}
	return list(items...)
}

func (c *conn) auth(user, password string) string {
	if want, known := c.s.users[user]; !known || want != password {
		if len(c.s.users) == 0 {
			return failure("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		}
		return failure("WRONGPASS invalid username-password pair or user is disabled.")
	}
	c.authed, c.user = true, user
	return ok
}

func (c *conn) client(args []string) string {
	if len(args) < 2 {
		return failure("ERR wrong number of arguments for 'client' command")
	}
	switch strings.ToUpper(args[1]) {
	case "SETNAME":
		return ok
	case "ID":
		return integer(1)
	case "TRACKING":
		if c.proto != 3 {
			return failure("ERR Client tracking can be enabled only in RESP3 mode or when using redirection")
		}
		c.tracking = true
		c.prefixes = nil
		for i, a := range args {
			if strings.EqualFold(a, "PREFIX") && i+1 < len(args) {
				c.prefixes = append(c.prefixes, args[i+1])
			}
		}
		if c.prefixes == nil {
			c.prefixes = []string{""}
		}
		return ok
	}
	return failure("ERR unknown subcommand")
}
