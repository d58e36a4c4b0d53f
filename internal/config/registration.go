package config

import (
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

// registration reads the section dynamicClientRegistration.
func (r *reader) registration(o *RegistrationOptions) Registration {
	const at = "dynamicClientRegistration."
	r.unknown(at, o.Extra, RegistrationOptions{})
	x := Registration{
		Enabled:            o.Enabled,
		InitialAccessToken: r.secret(at+"initialAccessToken", o.InitialAccessToken),
		Endpoint:           r.endpoint(at+"registrationEndpoint", o.RegistrationEndpoint, false),
		Persist:            o.PersistCredentials,
		File:               r.text(at+"credentialsFile", o.CredentialsFile),
		RedisKeyPrefix:     r.text(at+"redisKeyPrefix", o.RedisKeyPrefix),
		Metadata:           r.metadata(at+"clientMetadata.", o.ClientMetadata),
	}
	x.Storage = r.choice(at+"storageBackend", o.StorageBackend, "auto", []string{"file", "redis", "auto"})
	return x
}

// The members of RFC 7591, section 2, and OpenID Connect Dynamic Client
// Registration, section 2, by the type of their value.
const (
	metadataTexts = `application_type client_name client_uri id_token_signed_response_alg jwks_uri logo_uri policy_uri
		scope sector_identifier_uri software_id software_version subject_type token_endpoint_auth_method tos_uri
		backchannel_logout_uri frontchannel_logout_uri`
	metadataLists = `contacts default_acr_values grant_types post_logout_redirect_uris redirect_uris response_types`
	metadataFlags = `require_auth_time backchannel_logout_session_required frontchannel_logout_session_required`
	metadataAges  = `default_max_age`
)

// metadata reads clientMetadata; its keys bind in snake_case and in camelCase.
func (r *reader) metadata(at string, raw map[string]any) map[string]any {
	known := metadataTexts + " " + metadataLists + " " + metadataFlags + " " + metadataAges
	out := map[string]any{}
	extra := map[string]any{}
	for key, value := range raw {
		name := metadataName(key, known)
		if name == "" {
			extra[key] = value
			continue
		}
		if _, twice := out[name]; twice {
			r.problem(at+name, "is given in two spellings")
			continue
		}
		out[name] = r.member(at+name, name, value)
	}
	r.unknownOf(at, extra, strings.Fields(known))
	return out
}

func metadataName(key, known string) string {
	for _, name := range strings.Fields(known) {
		if spelling.Plain(name) == spelling.Plain(key) {
			return name
		}
	}
	return ""
}

// member reads one value of clientMetadata as the type that its name requires.
func (r *reader) member(option, name string, value any) any {
	if contains(strings.Fields(metadataLists), name) {
		return r.memberList(option, value)
	}
	s, ok := scalar(value)
	if !ok {
		r.problem(option, "must be a single value")
		return nil
	}
	switch {
	case contains(strings.Fields(metadataFlags), name):
		return r.boolean(option, s)
	case contains(strings.Fields(metadataAges), name):
		return r.integer(option, s, 0, maxSeconds)
	}
	return r.text(option, s)
}

func (r *reader) memberList(option string, value any) []string {
	if text, ok := value.(string); ok {
		return r.list(option, strings.Split(text, ","))
	}
	if texts, ok := value.([]string); ok {
		return r.list(option, texts)
	}
	list, ok := value.([]any)
	if !ok {
		r.problem(option, "must be a list of texts")
		return nil
	}
	var raw []string
	for _, element := range list {
		s, ok := scalar(element)
		if !ok {
			r.problem(option, "must be a list of texts")
			return nil
		}
		raw = append(raw, s)
	}
	return r.list(option, raw)
}
