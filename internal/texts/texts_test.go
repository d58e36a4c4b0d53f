package texts

import (
	"sort"
	"strings"
	"testing"
)

func TestEveryLanguageHasEveryText(t *testing.T) {
	for tag, translation := range map[string]map[string]string{"de": german, "fr": french, "es": spanish} {
		var keys []string
		for key, text := range translation {
			keys = append(keys, key)
			if fault := Fault(key, text); fault != "" {
				t.Errorf("%s: %s %s", tag, key, fault)
			}
			if text == english[key] {
				t.Errorf("%s: %s is in English", tag, key)
			}
		}
		sort.Strings(keys)
		if got, want := strings.Join(keys, " "), strings.Join(Keys(), " "); got != want {
			t.Errorf("%s has the keys\n%s, want\n%s", tag, got, want)
		}
	}
}

func TestFor(t *testing.T) {
	auto, err := New(Options{Custom: map[string]string{"label.back": "Indietro"}, CustomTag: "it-CH"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, header, want string }{
		{"none", "", "en"},
		{"one", "de", "de"},
		{"with a region", "de-AT", "de"},
		{"in capitals", "FR-ca", "fr"},
		{"the first of equals", "es,fr", "es"},
		{"weights", "fr;q=0.5, de;q=0.8 , es ; q=0.2", "de"},
		{"the highest weight is last", "en;q=0.1,fr;q=0.9", "fr"},
		{"refused", "de;q=0, fr;q=0.1", "fr"},
		{"all refused", "de;q=0", "en"},
		{"unknown", "tlh, ja;q=0.9, fr;q=0.3", "fr"},
		{"any", "*", "en"},
		{"of the file", "it,de;q=0.9", "it-CH"},
		{"K7 a script", `"><script>alert(1)</script>`, "en"},
		{"K7 a weight that is none", "de;q=NaN, fr;q=1e9, es;q=0.1", "es"},
		{"K7 control characters", "de\x00\r\nX: y", "en"},
		{"K7 a header of one megabyte", "de," + strings.Repeat("a,", 1<<19), "en"},
		{"K7 more languages than are read", strings.Repeat("xx,", 16) + "de", "en"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := auto.For(row.header).Tag; got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
	fixed, err := New(Options{Language: "de-AT"})
	if err != nil || fixed.For("fr").Tag != "de" || fixed.FollowsBrowser() || !auto.FollowsBrowser() {
		t.Errorf("a fixed language: %v", err)
	}
	if _, err := New(Options{Language: "tlh"}); err == nil {
		t.Error("a language without texts is accepted")
	}
}

func TestTexts(t *testing.T) {
	own := map[string]string{"label.back": "Heim"}
	b, err := New(Options{Language: "de", Custom: own, CustomTag: "de"})
	if err != nil {
		t.Fatal(err)
	}
	l := b.For("")
	if l.Text("label.back") != "Heim" || l.Text("label.sign_out") != german["label.sign_out"] || l.Text("none") != "" {
		t.Error("the operator's texts do not replace those of their language")
	}
	b, err = New(Options{Custom: own, CustomTag: "he"})
	if err != nil {
		t.Fatal(err)
	}
	if l = b.For("he-IL"); l.Text("label.sign_out") != english["label.sign_out"] || !l.RightToLeft {
		t.Error("a missing text is not English")
	}
}
