package auth

// remedies are the operator's checks after an error of the provider.
var remedies = map[string]string{
	"invalid_request":           ": check authorizationParams, enablePKCE and the redirect URI",
	"invalid_scope":             ": check scopes, and which ones the provider permits to this client",
	"unauthorized_client":       ": check that the provider permits the authorization code flow to this client",
	"unsupported_response_type": ": check that the provider permits the authorization code flow to this client",
	"of its own":                ": the provider's log has its text",
}
