package oidctest

// A Person can be signed in.
type Person struct {
	Sub           string
	Name          string
	Email         string
	EmailVerified bool
	Groups        []string
	Roles         []string       // of realm_access.roles
	Note          string         // for the page: what to expect
	Extra         map[string]any // further claims
}

// DefaultPeople are the people of a provider that was told of none.
func DefaultPeople() []Person {
	return []Person{
		{
			Sub: "alice", Name: "Alice Adler", Email: "alice@example.com", EmailVerified: true,
			Groups: []string{"admins", "staff"}, Roles: []string{"admin", "user"}, Note: "An administrator.",
		},
		{
			Sub: "bob", Name: "Bob Brandt", Email: "bob@example.com", EmailVerified: true,
			Groups: []string{"staff"}, Roles: []string{"user"}, Note: "A member of the staff.",
		},
		{
			Sub: "carol", Name: "Carol Conti", Email: "carol@example.org", EmailVerified: true,
			Groups: []string{"guests"}, Roles: []string{}, Note: "A guest of another domain.",
		},
		{
			Sub: "dave", Name: "Dave Dupont", Email: "dave@example.com", EmailVerified: false,
			Groups: []string{}, Roles: []string{}, Note: "Has not confirmed his e-mail address.",
		},
	}
}

// person finds somebody by subject or e-mail address.
func (p *Provider) person(who string) (Person, bool) {
	for _, q := range p.options.People {
		if who != "" && (q.Sub == who || q.Email == who) {
			return q, true
		}
	}
	return Person{}, false
}

// Change makes a person another one: what the provider tells of them from now on,
// also to whom they signed in before. The subject stays.
func (p *Provider) Change(sub string, change func(q *Person)) {
	q, _ := p.person(sub)
	q = p.asOfNow(q)
	change(&q)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people[sub] = q
}

// asOfNow is q after what was changed since.
func (p *Provider) asOfNow(q Person) Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changed, ok := p.people[q.Sub]; ok {
		return changed
	}
	return q
}

// claims are what the scopes openid, profile and email tell of a person.
func (q Person) claims() map[string]any {
	c := map[string]any{"sub": q.Sub}
	if q.Name != "" {
		c["name"] = q.Name
		c["preferred_username"] = q.Sub
	}
	if q.Email != "" {
		c["email"] = q.Email
		c["email_verified"] = q.EmailVerified
	}
	if q.Groups != nil {
		c["groups"] = q.Groups
	}
	if q.Roles != nil {
		c["realm_access"] = map[string]any{"roles": q.Roles}
	}
	for k, v := range q.Extra {
		c[k] = v
	}
	return c
}
