package chain

import (
	"context"
	"strings"
	"testing"
)

func TestPassages(t *testing.T) {
	ctx := context.Background()
	if got := Cookies(ctx); got != nil || Session(ctx, "a") != nil {
		t.Errorf("without an earlier middleware: %q", got)
	}
	public := &Passage{}
	one := &Passage{Cookies: []string{"a=1; b=2", "c=3"}, Identity: "a", Name: "a", Value: "1"}
	two := &Passage{Cookies: []string{"b=2"}, Identity: "b", Name: "b", Value: "2"}
	ctx = WithPassage(WithPassage(WithPassage(ctx, public), one), two)
	if public.Read() || one.Read() || two.Read() {
		t.Error("read before a later middleware looked")
	}
	if got := Session(ctx, "b"); got != two || one.Read() {
		t.Errorf("session of b: %+v", got)
	}
	if got := Session(ctx, "a"); got != one || !one.Read() {
		t.Errorf("session of a: %+v", got)
	}
	if got := Session(ctx, "c"); got != nil {
		t.Errorf("session of c: %+v", got)
	}
	if got := strings.Join(Cookies(ctx), "|"); got != "a=1; b=2|c=3" {
		t.Errorf("cookies that the client sent: %q", got)
	}
	if !public.Read() {
		t.Error("the first passage was not read")
	}
}

func TestCallbackIsThatOfTheEarliest(t *testing.T) {
	ctx := context.Background()
	if Callback(ctx, "") != nil {
		t.Error("without an earlier middleware")
	}
	one, other, two := &Passage{Owner: "a"}, &Passage{Owner: "b"}, &Passage{Owner: "a"}
	ctx = WithPassage(WithPassage(WithPassage(ctx, one), other), two)
	if Callback(ctx, "a") != one || Callback(ctx, "b") != other || Callback(ctx, "c") != nil {
		t.Error("the callback of another")
	}
	if !one.Read() {
		t.Error("the first passage was not read")
	}
}

func TestKeysAreRandom(t *testing.T) {
	if newKey() == newKey() || newKey() == Key {
		t.Error("the key is not random")
	}
}
