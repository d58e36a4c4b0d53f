package main

import (
	"testing"
	"time"
)

// TestMeasurements runs each measurement once for a short time. It checks that the
// measurement works and that every response came from the backend. The printed figures
// are meaningless at this length.
func TestMeasurements(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Traefik")
	}
	p := plan{Rounds: 1, Round: time.Second, Reloads: 3, Settle: 0}
	for _, name := range []string{"requests", "startup", "reload"} {
		t.Run(name, func(t *testing.T) {
			if err := measure(t.Context(), name, p); err != nil {
				t.Fatal(err)
			}
		})
	}
}
