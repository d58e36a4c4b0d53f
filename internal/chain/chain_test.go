package chain

import (
	"context"
	"strings"
	"testing"
)

func TestCookies(t *testing.T) {
	ctx := context.Background()
	if got := Cookies(ctx); got != nil {
		t.Errorf("nothing was taken out: %q", got)
	}
	one := WithCookies(ctx, []string{"a=1; b=2", "c=3"})
	if got := strings.Join(Cookies(one), "|"); got != "a=1; b=2|c=3" {
		t.Errorf("the first middleware: %q", got)
	}
	if got := strings.Join(Cookies(WithCookies(one, []string{"a=1"})), "|"); got != "a=1; b=2|c=3" {
		t.Errorf("the second: %q", got)
	}
}

func TestKeysAreNotGuessed(t *testing.T) {
	if newKey("x") == newKey("x") || newKey("x") == cookies {
		t.Error("a key is not random")
	}
}
