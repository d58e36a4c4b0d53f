package main

const tryOne = `
  Open  SITE/

  The provider is PROVIDER, Traefik's dynamic configuration FILE

Try
  1. SITE/team     pick Alice or Bob: the page shows what the backend received
  2. SITE/admin    Alice may, Bob may not
  3. SITE/team/logout, and pick somebody else
  4. what a program sees:       curl -i SITE/team
     a header that it made up:  curl -H 'X-Forwarded-User: root' SITE/team/public
  5. change the configuration while it runs: put "guests" beside "admins" in the
     file above, save, sign in as Carol, open SITE/admin

Ctrl-C ends all of it and removes its files.
`

const tryMany = `
  COUNT Traefiks share one Redis  ALLSITES

  The provider is PROVIDER, Redis REDIS,
  the dynamic configuration of all Traefiks FILE

Your browser gives a cookie of localhost to each of its ports, as it would to
any number of Traefiks behind one name.

Try
  1. SITE/team     pick Alice
     OTHER/team     you are signed in at the other Traefik too
  2. Type here:  redis kill
     Reload both pages: you stay signed in, although Redis is gone.
     In a private window, SITE/team, pick Bob: a sign-in works.
     There, OTHER/team: "try again" and not a second sign-in,
     because the other Traefik cannot know him yet.
  3. Type here:  redis start
     It comes back empty and gets what the Traefiks hold: reload all pages,
     Alice and Bob are signed in at both.
  4. Type here:  kill 1      SITE is down,
     OTHER/team goes on. Then:  start 1
  5. SITE/team/logout, then reload OTHER/team:
     signed out at both.
  6. SITE/team     pick Alice again, then open
     ENDSESSION : the provider ends her session itself
     and tells one Traefik. Reload both pages: signed out at both.

Ctrl-C ends all of it and removes its files.
`
