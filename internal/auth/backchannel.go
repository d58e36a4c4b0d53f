package auth

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
	"github.com/traefikoidc/traefikoidc/session"
)

const (
	// maxLogoutBody bounds the bytes that are read of a delivery, and maxParameters the
	// parameters of a form or a query.
	maxLogoutBody = 8 << 10
	maxParameters = 50
)

// A refusal is the response to a delivery that is not accepted (OpenID Connect
// Back-Channel Logout 1.0, section 2.8, in the form of RFC 6749, section 5.2). Its
// texts are constant.
type refusal struct {
	status      int
	code        string
	description string
}

func badDelivery(description string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", description}
}

// After these refusals a provider may deliver the same token again.
var (
	deliveredTooOften = &refusal{http.StatusTooManyRequests, "temporarily_unavailable", "too many deliveries at once, or that were not taken"}
	keysUnavailable   = &refusal{http.StatusBadRequest, "temporarily_unavailable", "the keys to check the logout token with could not be fetched"}
	keysThrottled     = &refusal{http.StatusBadRequest, "temporarily_unavailable", "the key of the logout token is not known, and the provider's keys were fetched only just now"}
	storeUnavailable  = &refusal{http.StatusBadRequest, "temporarily_unavailable", "the logout could not be told to every replica; deliver it again"}
)

// serveBackchannel serves the provider's logouts (OpenID Connect Back-Channel Logout 1.0).
// It responds 200 only once every replica will see the logout, because a provider
// delivers again after any other status. The sender has no session. So the cheap checks
// come first, and a client that sends many invalid tokens is refused for a while.
func serveBackchannel(m *Middleware, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	m.ownHeaders(h, r)
	v := m.admit(r)
	if v == nil {
		m.refuseDelivery(w, r, deliveredTooOften, nil)
		return
	}
	defer v.leave()
	problem, err := m.deliver(r)
	if problem == nil || problem == storeUnavailable {
		v.forgive()
	}
	if problem != nil {
		m.refuseDelivery(w, r, problem, err)
		return
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// refuseBackchannelMethod responds to a method of no delivery.
func refuseBackchannelMethod(m *Middleware, w http.ResponseWriter, r *http.Request) {
	m.ownHeaders(w.Header(), r)
	m.refuseDelivery(w, r, &refusal{http.StatusMethodNotAllowed, "invalid_request", "logout tokens are delivered by POST"}, nil)
}

// deliver handles one logout token. A replay is detected first, so that it ends
// nothing. The token becomes used at the very end, so that the provider can repeat a
// delivery that failed half way.
func (m *Middleware) deliver(r *http.Request) (*refusal, error) {
	raw, problem := logoutTokenOf(r)
	if problem != nil {
		return problem, nil
	}
	t, err := m.o.Provider.VerifyLogoutToken(r.Context(), raw)
	if errors.Is(err, oidc.ErrKeysThrottled) {
		return keysThrottled, err
	}
	if errors.Is(err, oidc.ErrUnavailable) {
		return keysUnavailable, err
	}
	if err != nil {
		return badDelivery("the logout token does not hold"), err
	}
	err = m.tokens.Used(r.Context(), "jti", t.ID)
	if errors.Is(err, session.ErrReplayed) {
		return badDelivery("the logout token was used before"), err
	}
	if problem, err := m.endAll(r, t); problem != nil {
		return problem, err
	}
	if err != nil {
		return storeUnavailable, err
	}
	err = m.tokens.Use(r.Context(), "jti", t.ID, t.Expiry.Sub(m.o.Now())+time.Second)
	switch {
	case errors.Is(err, session.ErrReplayed):
		return badDelivery("the logout token was used before"), err
	case err != nil:
		return storeUnavailable, err
	}
	return nil, nil
}

// endAll ends the sessions that t names.
func (m *Middleware) endAll(r *http.Request, t oidc.LogoutToken) (*refusal, error) {
	err := m.sessions.EndAll(r.Context(), session.Ending{
		Issuer: t.Issuer, Subject: t.Subject, SessionID: t.SessionID, Before: t.Issued,
	})
	if err != nil {
		return storeUnavailable, err
	}
	if t.Subject == "" {
		m.log(r, slogInfo, "signed out by the provider")
	} else {
		m.log(r, slogInfo, "signed out by the provider", "subject", digest(t.Subject))
	}
	return nil, nil
}

// logoutTokenOf reads a delivery (section 2.5). It refuses a parameter that can be read
// in two ways.
func logoutTokenOf(r *http.Request) (string, *refusal) {
	types := r.Header["Content-Type"]
	if len(types) != 1 || len(types[0]) > maxFormType {
		return "", badDelivery("the body is not a form")
	}
	kind, _, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", badDelivery("the body is not a form")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLogoutBody+1))
	if err != nil {
		return "", badDelivery("the body could not be read")
	}
	if len(body) > maxLogoutBody || len(r.URL.RawQuery) > maxLogoutBody {
		return "", &refusal{http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large"}
	}
	if strings.Count(string(body), "&") > maxParameters || strings.Count(r.URL.RawQuery, "&") > maxParameters {
		return "", badDelivery("there are too many parameters")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", badDelivery("the body is not a form")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["logout_token"]) != 0 {
		return "", badDelivery("the logout token belongs into the body")
	}
	if tokens := form["logout_token"]; len(tokens) == 1 {
		return tokens[0], nil
	}
	return "", badDelivery("there has to be one logout token")
}

// refuseDelivery responds to a delivery that is not accepted, and logs the reason.
func (m *Middleware) refuseDelivery(w http.ResponseWriter, r *http.Request, f *refusal, err error) {
	args := []any{"status", f.status, "reason", f.description}
	if err != nil {
		args = append(args, "error", err.Error())
	}
	// Any client can send invalid deliveries, in any number. A logout that was lost is
	// logged at a level that operators have on.
	level := slogInfo
	if f == storeUnavailable || f == keysUnavailable {
		level = slogWarn
	} else if f == deliveredTooOften {
		level = slogDebug
	}
	m.log(r, level, "logout by the provider refused", args...)
	h := w.Header()
	if f.code == "temporarily_unavailable" {
		h.Set("Retry-After", "2")
	}
	body, _ := json.Marshal(map[string]string{"error": f.code, "error_description": f.description})
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
