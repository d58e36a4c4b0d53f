// A user with Chromium at two Traefiks: a sign-in at one, work at the other
// while tokens are refreshed. It reads its parameters from the variable BROWSER and
// prints its observations as JSON.
import { chromium } from 'playwright-core';

const { executable, profile, a, b, user, seconds, timeout } = JSON.parse(process.env.BROWSER);

async function look(page) {
  const seen = JSON.parse(await page.locator('body').innerText());
  return { uri: seen.URI, user: seen.Header['X-Forwarded-User']?.[0], cookie: seen.Header.Cookie?.[0] ?? '' };
}

// listen opens a stream of events in the page.
const listen = (page) => page.evaluate(() => {
  window.heard = { events: 0, opened: 0, cut: 0 };
  const stream = new EventSource('/ticks');
  stream.onopen = () => { window.heard.opened += 1; };
  stream.onmessage = () => { window.heard.events += 1; };
  stream.onerror = () => { window.heard.cut += 1; };
});

const heard = (page) => page.evaluate(() => window.heard);

let context;
process.stdin.on('end', () => context?.close().finally(() => process.exit(1))).resume();

context = await chromium.launchPersistentContext(profile, {
  executablePath: executable,
  headless: true,
  ignoreHTTPSErrors: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
context.setDefaultTimeout(timeout);
const result = {};
try {
  const [one, two] = [await context.newPage(), await context.newPage()];
  await one.goto(`${a}/first`);
  while (!one.url().startsWith(a)) {
    const login = one.locator('input[name=login]');
    if (await login.count()) {
      await login.fill(user);
      await one.locator('input[name=password]').fill('any');
    }
    await Promise.all([one.waitForNavigation(), one.locator('button[type=submit]').first().click()]);
  }
  result.first = await look(one);

  // A cookie belongs to a host with all of its ports, so there is no sign-in.
  const answer = await two.goto(`${b}/second`);
  result.redirected = answer.request().redirectedFrom() !== null;
  result.second = await look(two);

  await listen(one);
  await listen(two);
  for (const page of [one, two]) await page.waitForFunction(() => window.heard.events > 0);
  result.statuses = await two.evaluate(async (seconds) => {
    const statuses = {};
    for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
      const { status } = await fetch('/x', { redirect: 'manual' });
      statuses[status] = (statuses[status] ?? 0) + 1;
      await new Promise((done) => setTimeout(done, 50));
    }
    return statuses;
  }, seconds);
  const before = [(await heard(one)).events, (await heard(two)).events];
  for (const [i, page] of [one, two].entries()) await page.waitForFunction((n) => window.heard.events > n, before[i]);
  result.streams = [await heard(one), await heard(two)];

  await two.reload();
  result.again = await look(two);
  result.cookies = (await context.cookies(b)).map((c) => c.name);
} catch (e) {
  result.error = String(e?.stack ?? e);
} finally {
  await context.close();
}
console.log(JSON.stringify(result));
process.exit();
