package oidctest

// A User is a user of the provider.
type User struct {
	Sub           string
	Name          string
	Email         string
	EmailVerified bool
	Groups        []string
	Roles         []string       // the claim realm_access.roles
	Note          string         // shown on the sign-in page
	Extra         map[string]any // further claims
}

// DefaultUsers returns the users of a provider without Options.Users.
func DefaultUsers() []User {
	return []User{
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
			Groups: []string{}, Roles: []string{}, Note: "His e-mail address is not verified.",
		},
	}
}

// user finds a user by subject or e-mail address.
func (p *Provider) user(name string) (User, bool) {
	for _, q := range p.options.Users {
		if name != "" && (q.Sub == name || q.Email == name) {
			return q, true
		}
	}
	return User{}, false
}

// Change changes the claims about a user from now on, also in tokens and userinfo of
// earlier sign-ins. change must not change the subject.
func (p *Provider) Change(sub string, change func(q *User)) {
	q, _ := p.user(sub)
	q = p.latest(q)
	change(&q)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed[sub] = q
}

// latest returns q with the changes made by Change.
func (p *Provider) latest(q User) User {
	p.mu.Lock()
	defer p.mu.Unlock()
	if changed, ok := p.changed[q.Sub]; ok {
		return changed
	}
	return q
}

// claims returns the claims of the scopes openid, profile and email, with groups, roles
// and Extra.
func (q User) claims() map[string]any {
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
