package traefikoidc

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// A check that is under way when its provider is not used any more ends without a line.
func TestTheProviderCheckEndsWithItsProvider(t *testing.T) {
	hold := make(chan struct{})
	op := oidctest.New(oidctest.Options{HoldDiscovery: hold})
	defer op.Close()
	defer close(hold)
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	c := &providerCheck{
		provider: oidc.NewProvider(oidc.Options{Issuer: op.URL(), ClientID: "client", AllowInsecureHTTP: true, HTTPClient: op.Client()}),
		done:     ctx, log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	ended := make(chan bool)
	go func() {
		c.Run()
		close(ended)
	}()
	cancel()
	<-ended
	if log.Len() > 0 {
		t.Errorf("the log says %q", log.String())
	}
}
