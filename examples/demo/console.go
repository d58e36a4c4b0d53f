package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const commands = `redis kill, redis start, kill 1, start 1 (1 or the number of another Traefik)`

// lines returns a channel of the lines of r, without spaces around them. The channel
// stays open at the end of r.
func lines(r io.Reader) <-chan string {
	c := make(chan string)
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			c <- strings.TrimSpace(s.Text())
		}
	}()
	return c
}

// execute executes a typed command and returns a message about its result.
func (d *demo) execute(ctx context.Context, line string) (string, error) {
	words := strings.Fields(strings.ToLower(line))
	switch {
	case len(words) == 0:
		return "", nil
	case len(words) != 2:
	case words[0] == "redis" && words[1] == "kill":
		d.redis.Kill()
		return "Redis was killed, and its data are lost.", nil
	case words[0] == "redis" && words[1] == "start":
		return "Redis runs again, without data.", d.startRedis(ctx)
	case words[0] == "kill" && d.replica(words[1]) != nil:
		r := d.replica(words[1])
		r.kill()
		return r.site() + " was killed.", nil
	case words[0] == "start" && d.replica(words[1]) != nil:
		return d.restart(ctx, d.replica(words[1]))
	}
	return "The commands are: " + commands, nil
}

// replica returns the replica with a number; nil: there is none.
func (d *demo) replica(number string) *replica {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(d.replicas) {
		return nil
	}
	return d.replicas[n-1]
}

func (d *demo) restart(ctx context.Context, r *replica) (string, error) {
	if r.traefik == nil {
		if err := r.start(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s runs.", r.site()), r.await(ctx)
}
