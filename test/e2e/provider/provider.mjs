// The certified provider of the end-to-end tests. It reads its clients from the
// variable PROVIDER, listens on a free port, prints its address, and ends with its
// standard input. Refresh tokens rotate, and one that comes twice ends its grant.
// Logouts are sent by the back channel. Below /test tests read its counters and make it
// slow.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Provider from 'oidc-provider';

const { clients } = JSON.parse(process.env.PROVIDER);

const server = createServer();
await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const issuer = `http://127.0.0.1:${server.address().port}`;

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

// The settings of tests: the lifetime of tokens in seconds, the milliseconds for which
// the token endpoint waits before it does anything, those for which it holds its
// response back, and a status that it returns without doing anything. Both waits end
// when something else is set.
const normal = {
  lifetime: 600, delay: 0, hold: 0, status: 0,
};
const set = { ...normal };
let changes = 0;

async function pause(milliseconds, at) {
  for (const end = Date.now() + milliseconds; changes === at && Date.now() < end;) {
    await sleep(5);
  }
}

// The events since the start.
const counts = {
  asked: 0, codes: 0, refreshes: 0, refused: 0, revoked: 0, told: 0, untold: 0,
};

const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: 'one' }] },
  cookies: { keys: ['for tests alone'] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: id, email: `${id}@example.com`, email_verified: true, groups: ['staff', `of-${id}`],
    }),
  }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: {
    AccessToken: () => set.lifetime,
    IdToken: () => set.lifetime,
    RefreshToken: 3600, Grant: 3600, Interaction: 600, Session: 3600, AuthorizationCode: 60,
  },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  // The sites of the tests are at loopback addresses. The provider's own
  // dispatcher refuses those.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});

provider.use(async (ctx, next) => {
  if (ctx.path === '/token') {
    counts.asked += 1;
    const { delay, hold, status } = set;
    const at = changes;
    await pause(delay, at);
    if (status) ctx.status = status;
    else await next();
    await pause(hold, at);
    return;
  }
  await next();
});
provider.on('grant.success', ({ oidc }) => { counts[oidc.params.grant_type === 'refresh_token' ? 'refreshes' : 'codes'] += 1; });
provider.on('grant.error', (ctx, err) => { counts.refused += 1; console.log('refused:', err.error_description, err.error_detail); });
provider.on('grant.revoked', () => { counts.revoked += 1; });
provider.on('backchannel.success', () => { counts.told += 1; });
provider.on('backchannel.error', (ctx, err) => { counts.untold += 1; console.log('back channel:', err.message, err.cause ?? ''); });
provider.on('server_error', (ctx, err) => console.log(err));

const serve = provider.callback();
server.on('request', (req, res) => {
  const { pathname, searchParams } = new URL(req.url, issuer);
  if (!pathname.startsWith('/test/')) {
    serve(req, res);
    return;
  }
  if (pathname === '/test/set') {
    changes += 1;
    Object.assign(set, normal);
    for (const [name, value] of searchParams) set[name] = Number(value);
  }
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify(counts));
});
console.log(`listening at ${issuer}`);
process.stdin.on('end', () => process.exit()).resume();
