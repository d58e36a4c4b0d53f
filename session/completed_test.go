package session

import (
	"testing"
	"time"
)

func TestCompletedSignInsAreCounted(t *testing.T) {
	c := newClock()
	l, other := newLogins(t, c, "identity"), newLogins(t, c, "other")
	j := jar{}
	for n := 0; n < 4; n++ {
		if got := l.Completed(j.request()); got != n {
			t.Errorf("L24 %d completed sign-ins are counted as %d", n, got)
		}
		one, err := l.Complete(j.request())
		if err != nil {
			t.Fatal(err)
		}
		if len(one.Value) < loginText || !sealedForm(one.Name[len(l.Cookies.Name):]+"="+one.Value) {
			t.Errorf("L24 L16 a backend may see %s=%s", one.Name, one.Value)
		}
		j[one.Name] = one.Value
		start(t, l, j, "/")
		c.turn(time.Second)
	}
	if got := other.Completed(j.request()); got != 0 {
		t.Errorf("L24 another middleware counts %d", got)
	}
	c.turn(completedWithin)
	if got := l.Completed(j.request()); got != 0 {
		t.Errorf("L24 later, %d are counted", got)
	}
	j[l.ResetCompleted().Name] = "made-up"
	if got := l.Completed(j.request()); got != 0 {
		t.Errorf("L24 a made-up cookie is taken for %d sign-ins", got)
	}
}
