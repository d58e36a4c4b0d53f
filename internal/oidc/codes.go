package oidc

// errorCodes has the error codes of OAuth and OpenID Connect that a log line may have.
// Any other code may be text that an attacker wrote into an address. It is the only list
// of them. The value is true for the codes of a provider that needs an interaction of
// the user (OpenID Connect Core, section 3.1.2.6).
var errorCodes = map[string]bool{
	// RFC 6749, sections 4.1.2.1 and 5.2.
	"invalid_request": false, "invalid_client": false, "invalid_grant": false, "unauthorized_client": false,
	"unsupported_grant_type": false, "invalid_scope": false, "access_denied": false, "unsupported_response_type": false,
	"server_error": false, "temporarily_unavailable": false,
	// RFC 7009, RFC 6750 and RFC 8707.
	"unsupported_token_type": false, "invalid_token": false, "insufficient_scope": false, "invalid_target": false,
	// OpenID Connect Core, section 3.1.2.6, and its extension of error codes.
	"interaction_required": true, "login_required": true, "account_selection_required": true, "consent_required": true,
	"invalid_request_uri": false, "invalid_request_object": false, "request_not_supported": false,
	"request_uri_not_supported": false, "registration_not_supported": false, "unmet_authentication_requirements": false,
}

// KnownError returns code if it is an error code of OAuth or OpenID Connect, and
// otherwise an empty string. The result may be shown and logged.
func KnownError(code string) string {
	if _, known := errorCodes[code]; known {
		return code
	}
	return ""
}

// NeedsInteraction reports whether an error code after prompt=none is one that an
// interactive sign-in can resolve.
func NeedsInteraction(code string) bool { return errorCodes[code] }
