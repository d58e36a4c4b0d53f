package main

const tryOne = `
  Open  SITE/

  The provider is PROVIDER, Traefik's dynamic configuration FILE

Try
  1. SITE/team     choose Alice or Bob: the page shows the received request
  2. SITE/admin    Alice has access, Bob has none
  3. SITE/team/logout, then choose another user
  4. the response to an API client:  curl -i SITE/team
     a forged header is removed:     curl -H 'X-Forwarded-User: root' SITE/team/public
  5. change the configuration while it runs: add "guests" to "admins" in the
     file above, save, sign in as Carol, open SITE/admin

Ctrl-C ends the demo and removes its files.
`

const tryMany = `
  COUNT Traefiks share one Redis  ALLSITES

  The provider is PROVIDER, Redis REDIS,
  the dynamic configuration of all Traefiks FILE

Your browser sends cookies of localhost to all of its ports, as it does to
several Traefiks behind one name.

Try
  1. SITE/team     choose Alice
     OTHER/team     you are signed in at the other Traefik too
  2. Type here:  redis kill
     Reload both pages: you stay signed in without Redis.
     In a private window, open SITE/team and choose Bob: he can sign in.
     There, open OTHER/team: it says "try again" and starts no second sign-in,
     because Bob's session has not reached the other Traefik yet.
  3. Type here:  redis start
     Redis starts without data, and the Traefiks write their sessions to it.
     Reload all pages: Alice and Bob are signed in at both Traefiks.
  4. Type here:  kill 1      SITE is down,
     OTHER/team still works. Then type:  start 1
  5. SITE/team/logout, then reload OTHER/team:
     you are signed out at both.
  6. SITE/team     choose Alice again, then open
     ENDSESSION : the provider ends her session
     and notifies one Traefik. Reload both pages: she is signed out at both.

Ctrl-C ends the demo and removes its files.
`
