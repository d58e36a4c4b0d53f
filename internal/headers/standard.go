package headers

// These headers are set without a template. X-Auth-Request-Redirect is the request's
// own and is set with it. X-Auth-Request-Token is set only by a template, because it
// exposes a token.
const (
	ForwardedUser   = "X-Forwarded-User"
	UserGroups      = "X-User-Groups"
	UserRoles       = "X-User-Roles"
	RequestUser     = "X-Auth-Request-User"
	RequestRedirect = "X-Auth-Request-Redirect"
	RequestToken    = "X-Auth-Request-Token"
)

// standardNames are removed from every request, even those that are not set.
var standardNames = [...]string{ForwardedUser, UserGroups, UserRoles, RequestUser, RequestRedirect, RequestToken}

// A User has the values of the standard headers. An empty field sets no header.
type User struct {
	Name          string
	Groups, Roles []string
	Minimal       bool // X-Forwarded-User only
}

// Standard returns the standard headers of a user. Characters other than printable
// ASCII are percent-encoded, and so are percent signs, so that two users never look
// alike. Lists are joined by commas, and commas within an element are encoded.
func Standard(u User) []Header {
	user := encodeText(u.Name)
	set := appendSet(nil, ForwardedUser, user)
	if u.Minimal {
		return set
	}
	set = appendSet(set, RequestUser, user)
	set = appendSet(set, UserGroups, encodeList(u.Groups))
	return appendSet(set, UserRoles, encodeList(u.Roles))
}

func appendSet(set []Header, name, value string) []Header {
	if value == "" {
		return set
	}
	return append(set, Header{Name: name, Value: value})
}
