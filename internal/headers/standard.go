package headers

// The headers that the middleware sets without being told by a template.
// X-Auth-Request-Redirect is the request's own and set with it.
// X-Auth-Request-Token is set by a template only, because it hands a token on.
const (
	ForwardedUser   = "X-Forwarded-User"
	UserGroups      = "X-User-Groups"
	UserRoles       = "X-User-Roles"
	RequestUser     = "X-Auth-Request-User"
	RequestRedirect = "X-Auth-Request-Redirect"
	RequestToken    = "X-Auth-Request-Token"
)

// standardNames are removed from every request, whether or not they are set.
var standardNames = [...]string{ForwardedUser, UserGroups, UserRoles, RequestUser, RequestRedirect, RequestToken}

// A Person is somebody as the rules see them. What is empty sets no header.
type Person struct {
	User          string
	Groups, Roles []string
	Minimal       bool // X-Forwarded-User alone
}

// Standard returns the standard headers of a person. Text is percent-encoded where
// it is not printable ASCII, and so are percent signs, so that two people never
// look alike; lists are joined by commas, and commas within an element encoded.
func Standard(p Person) []Header {
	user := encodeText(p.User)
	set := appendSet(nil, ForwardedUser, user)
	if p.Minimal {
		return set
	}
	set = appendSet(set, RequestUser, user)
	set = appendSet(set, UserGroups, encodeList(p.Groups))
	return appendSet(set, UserRoles, encodeList(p.Roles))
}

func appendSet(set []Header, name, value string) []Header {
	if value == "" {
		return set
	}
	return append(set, Header{Name: name, Value: value})
}
