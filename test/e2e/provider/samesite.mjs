// A user with Chromium, and a page of another site that links to a protected site,
// posts to it and has it in a frame. It reads its parameters from the variable BROWSER
// and prints its observations as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { executable, profile, site, other, mode, timeout } = JSON.parse(process.env.BROWSER);

// look reads the text of the backend in a page or a frame, once it is there.
async function look(frame, path) {
  await frame.waitForURL(`${site}${path}`);
  return frame.locator('body').innerText();
}

const pick = (page) => page.locator('button[value=alice]').click();

let context;
process.stdin.on('end', () => context?.close().finally(() => process.exit(1))).resume();

// A SameSite=None cookie reaches a frame only where third-party cookies are allowed, which
// is not the default of every Chromium.
if (mode === 'none') {
  mkdirSync(`${profile}/Default`, { recursive: true });
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify({ profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }));
}

context = await chromium.launchPersistentContext(profile, {
  executablePath: executable,
  headless: true,
  ignoreHTTPSErrors: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
context.setDefaultTimeout(timeout);
const cookies = async () => (await context.cookies()).filter((c) => c.domain === new URL(site).hostname)
  .map((c) => ({ name: c.name, sameSite: c.sameSite, secure: c.secure, partition: c.partitionKey ?? '' }));
// framed opens the other site and returns its frame.
async function framed(page, path) {
  await page.goto(`${other}/frame?${new URLSearchParams({ to: site + path })}`);
  return page.frame('framed');
}

const flows = {
  // lax and strict: a sign-in, then a link, a form and a frame of the other site.
  async top(page, result) {
    await page.goto(`${site}/first?a=1`);
    await pick(page);
    result.first = await look(page, '/first?a=1');
    result.cookies = await cookies();
    result.script = await page.evaluate(async () => (await fetch('/api')).status);
    await page.goto(`${other}/link?${new URLSearchParams({ to: `${site}/linked` })}`);
    await page.locator('a').click();
    result.linked = await look(page, '/linked');
    await page.goto(`${other}/form?${new URLSearchParams({ to: `${site}/posted` })}`);
    const [answer] = await Promise.all([page.waitForResponse(`${site}/posted`), page.locator('button').click()]);
    result.posted = answer.status();
    await page.goto(`${site}/again`);
    result.again = await look(page, '/again');
  },
  // none: the frame offers a window, in which the sign-in happens.
  async none(page, result) {
    const frame = await framed(page, '/framed?a=1');
    result.offered = await frame.locator('h1').innerText();
    const [window] = await Promise.all([context.waitForEvent('page'), frame.locator('a[target=_blank]').click()]);
    await pick(window);
    result.first = await look(window, '/framed?a=1');
    result.opener = await window.evaluate(() => window.opener === null);
    await frame.getByRole('link', { name: 'Try again' }).click();
    await frame.getByText('@example.com').waitFor();
    result.framed = await look(frame, '/framed?a=1');
    result.cookies = await cookies();
    await page.goto(`${other}/form?${new URLSearchParams({ to: `${site}/posted` })}`);
    const [answer] = await Promise.all([page.waitForResponse(`${site}/posted`), page.locator('button').click()]);
    result.posted = answer.status();
    // The sign-out is asked for in the window, and a frame that leads to it changes nothing.
    await framed(page, '/callback/logout');
    await window.goto(`${site}/still`);
    result.again = await look(window, '/still');
    await window.goto(`${site}/callback/logout`);
    result.afterwards = await cookies();
  },
  // partitioned: the sign-in happens in the frame, and once more in a tab of its own.
  async partitioned(page, result) {
    let frame = await framed(page, '/framed?a=1');
    result.framed = await look(frame, '/framed?a=1');
    result.cookies = await cookies();
    await page.goto(`${site}/first`);
    result.first = await look(page, '/first');
    result.both = await cookies();
    frame = await framed(page, '/again');
    result.again = await look(frame, '/again');
    // The provider's page that follows refuses to be framed.
    await Promise.all([page.waitForResponse(`${site}/callback/logout`), frame.evaluate((to) => { location.href = to; }, `${site}/callback/logout`)]);
    result.afterwards = await cookies();
  },
};

const result = {};
try {
  await flows[mode](await context.newPage(), result);
} catch (e) {
  result.error = String(e?.stack ?? e);
  result.pages = await Promise.all(context.pages().flatMap((p) => p.frames()).map(async (f) => `${f.url()}: ${await f.locator('body').innerText().catch(() => '')}`.slice(0, 500)));
} finally {
  await context.close();
}
console.log(JSON.stringify(result));
process.exit();
