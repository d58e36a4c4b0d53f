// A user with Chromium: two tabs, a sign-in in each, a logout. It reads its parameters
// from the variable BROWSER and prints its observations as JSON.
import { chromium } from 'playwright-core';

const { executable, profile, site, logout, timeout } = JSON.parse(process.env.BROWSER);

// signIn fills in the provider's forms until the page is not the provider's.
async function signIn(page, user) {
  while (!page.url().startsWith(site)) {
    const login = page.locator('input[name=login]');
    if (await login.count()) {
      await login.fill(user);
      await page.locator('input[name=password]').fill('any');
    }
    await Promise.all([page.waitForNavigation(), page.locator('button[type=submit]').first().click()]);
  }
  return look(page);
}

async function look(page) {
  const seen = JSON.parse(await page.locator('body').innerText());
  return { uri: seen.URI, user: seen.Header['X-Forwarded-User']?.[0], cookie: seen.Header.Cookie?.[0] ?? '' };
}

// ask returns the status for a script of the page.
const ask = (page) => page.evaluate(async () => (await fetch('/api/x', { redirect: 'manual' })).status);

// The browser ends with standard input: with the tests, however they end.
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
  const violations = [];
  for (const page of [one, two]) page.on('console', (m) => { if (m.type() === 'error' && /Content.Security|Refused/.test(m.text())) violations.push(m.text()); });

  await one.goto(`${site}/first?tab=1`);
  await two.goto(`${site}/second?tab=2`);
  result.second = await signIn(two, 'alice');
  result.first = await signIn(one, 'alice');
  result.script = await ask(one);
  result.cookies = (await context.cookies(site)).map((c) => ({ name: c.name, secure: c.secure, httpOnly: c.httpOnly, sameSite: c.sameSite, path: c.path, domain: c.domain }));

  // Back to the used-up callback and forth again is harmless.
  await one.goBack().catch(() => {});
  await one.goto(`${site}/again`);
  result.again = await look(one);

  // A link on another site asks first, and leaves the session alone.
  await two.goto('about:blank');
  await two.setContent(`<a href="${site}${logout}">out</a>`);
  await Promise.all([two.waitForNavigation(), two.locator('a').click()]);
  result.question = { status: await two.evaluate(() => performance.getEntriesByType('navigation')[0].responseStatus), text: await two.locator('h1').innerText() };
  result.stillIn = await ask(one);

  // The question's button signs out, there and at the provider.
  await Promise.all([two.waitForNavigation(), two.locator('button').first().click()]);
  result.atProvider = two.url();
  await Promise.all([two.waitForNavigation(), two.locator('button[value=yes]').click()]);
  await two.waitForLoadState();
  result.signedOut = await two.locator('h1').innerText();
  result.scriptAfterwards = await ask(one);
  result.cookiesAfterwards = (await context.cookies(site)).map((c) => c.name);

  // The page's link is the way to the next sign-in.
  await Promise.all([two.waitForNavigation(), two.getByText('Sign in again').click()]);
  await two.waitForLoadState();
  result.afterwards = two.url();
  result.asksAgain = await two.locator('input[name=login]').count();
  result.violations = violations;
} catch (e) {
  result.error = String(e?.stack ?? e);
} finally {
  await context.close();
}
console.log(JSON.stringify(result));
process.exit();
