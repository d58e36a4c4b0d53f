package headers

// These headers are set without a template. X-Auth-Request-Redirect is the request's
// own and is set with it. X-Auth-Request-Token is set only by a template, because it
// exposes a token.
const (
	forwardedUser   = "X-Forwarded-User"
	userGroups      = "X-User-Groups"
	userRoles       = "X-User-Roles"
	requestUser     = "X-Auth-Request-User"
	RequestRedirect = "X-Auth-Request-Redirect"
	requestToken    = "X-Auth-Request-Token"
)

// standardNames are removed from every request, even those that are not set.
var standardNames = [...]string{forwardedUser, userGroups, userRoles, requestUser, RequestRedirect, requestToken}

// A User has the values of the standard headers. An empty field sets no header.
type User struct {
	Name          string
	Groups, Roles []string
	Minimal       bool // X-Forwarded-User only
}

// standard returns the standard headers of a user. Characters other than printable
// ASCII are percent-encoded, and so are percent signs, so that two users never look
// alike. Lists are joined by commas, and commas within an element are encoded.
func standard(u User) []Header {
	user := encodeText(u.Name)
	set := appendSet(nil, forwardedUser, user)
	if u.Minimal {
		return set
	}
	set = appendSet(set, requestUser, user)
	set = appendSet(set, userGroups, encodeList(u.Groups))
	return appendSet(set, userRoles, encodeList(u.Roles))
}

func appendSet(set []Header, name, value string) []Header {
	if value == "" {
		return set
	}
	return append(set, Header{Name: name, Value: value})
}
