// Package traefiktest runs a real Traefik with plugins from source, for the
// demo, the tests and the benchmarks.
package traefiktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Module is the plugin's module path, for [Options].Plugins.
const Module = "github.com/traefikoidc/traefikoidc"

// ErrNotFound is returned when there is no Traefik to run.
var ErrNotFound = errors.New("traefiktest: no Traefik: set TRAEFIK to the path that scripts/traefik.sh prints")

// ErrEnded is returned when Traefik has ended by itself.
var ErrEnded = errors.New("traefiktest: Traefik has ended")

// Options say which Traefik runs, where, and with what.
type Options struct {
	Binary  string            // empty: $TRAEFIK, or traefik on PATH
	Dir     string            // an existing folder that Traefik runs in
	Static  string            // the static configuration, a file; relative to Dir
	Plugins map[string]string // by module path: the folder of its sources
	Env     []string          // added to this process's environment
	Log     io.Writer         // gets Traefik's output as well; nil: nobody
}

// A Traefik is a running process. It is safe for concurrent use.
type Traefik struct {
	cmd     *exec.Cmd
	log     *tail
	done    chan struct{} // closed when the process has ended
	stopped atomic.Bool   // by Stop or Kill
}

// Start lays out the plugins in Options.Dir and starts Traefik there. On Linux
// it is killed if this process dies without stopping it.
func Start(o Options) (*Traefik, error) {
	binary, err := find(o.Binary)
	if err != nil {
		return nil, err
	}
	if err := layOut(o.Dir, o.Plugins); err != nil {
		return nil, err
	}
	t := &Traefik{log: &tail{next: o.Log}, done: make(chan struct{})}
	t.cmd = exec.Command(binary, "--configFile="+o.Static)
	t.cmd.Dir = o.Dir
	t.cmd.Env = append(os.Environ(), o.Env...)
	t.cmd.Stdout, t.cmd.Stderr = t.log, t.log
	t.cmd.SysProcAttr = childAttributes()
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("traefiktest: start: %w", err)
	}
	go t.wait()
	return t, nil
}

func find(binary string) (string, error) {
	if binary == "" {
		binary = os.Getenv("TRAEFIK")
	}
	if binary != "" {
		return binary, nil
	}
	path, err := exec.LookPath("traefik")
	if err != nil {
		return "", ErrNotFound
	}
	return path, nil
}

func (t *Traefik) wait() {
	_ = t.cmd.Wait()
	close(t.done)
}

// PID is the process's id.
func (t *Traefik) PID() int { return t.cmd.Process.Pid }

// Done is closed when the process has ended; [Traefik.Stopped] tells whether by
// itself.
func (t *Traefik) Done() <-chan struct{} { return t.done }

// LastLines are the newest lines of Traefik's output, which tell why it ended or
// does not serve.
func (t *Traefik) LastLines() string { return t.log.text() }

// Await returns when Traefik answers url with anything but 404, which it gives
// where it has no router or could not build the router's middleware. It fails
// when ctx ends, and with [ErrEnded]; [Traefik.LastLines] may tell why.
func (t *Traefik) Await(ctx context.Context, url string) error {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: stay,
		Timeout:       5 * time.Second,
	}
	for {
		if t.ended() {
			return ErrEnded
		}
		resp, err := client.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusNotFound {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("traefiktest: %s is not served: %w", url, ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (t *Traefik) ended() bool { return t.cmd.Process.Signal(syscall.Signal(0)) != nil }

// Stop ends the process, by force after ten seconds, and returns when it is
// gone.
func (t *Traefik) Stop() {
	t.stopped.Store(true)
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(10*time.Second, t.kill)
	<-t.done
	force.Stop()
}

// Kill ends the process as kill -9 does, and returns when it is gone.
func (t *Traefik) Kill() {
	t.stopped.Store(true)
	t.kill()
	<-t.done
}

// Stopped tells whether the process was ended by [Traefik.Stop] or
// [Traefik.Kill], or is about to be.
func (t *Traefik) Stopped() bool { return t.stopped.Load() }

func (t *Traefik) kill() { _ = t.cmd.Process.Kill() }
