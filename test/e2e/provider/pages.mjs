// Looks at the built-in pages with axe-core, in light and dark, narrow and wide. It
// reads its parameters from the variable BROWSER and prints its observations as JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { executable, profile, site, down, logout, language, pictures, timeout } = JSON.parse(process.env.BROWSER);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let context;
process.stdin.on('end', () => context?.close().finally(() => process.exit(1))).resume();

context = await chromium.launchPersistentContext(profile, {
  executablePath: executable,
  headless: true,
  locale: language,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
context.setDefaultTimeout(timeout);

const result = { looks: [], refused: [] };
const page = await context.newPage();
page.on('console', (m) => { if (m.type() === 'error' && /Content.Security|Refused/.test(m.text())) result.refused.push(m.text()); });

// follow goes to an address as a link of another site does.
async function follow(address) {
  await page.goto('about:blank');
  await page.setContent(`<a href="${address}">on</a>`);
  await Promise.all([page.waitForNavigation(), page.locator('a').click()]);
}

// look examines the page that is open.
async function look(name) {
  for (const scheme of ['light', 'dark']) {
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 800 });
      await page.evaluate(axe);
      const seen = await page.evaluate(async () => ({
        violations: (await axe.run(document, {
          runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], preload: false,
        })).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + ' ' + n.failureSummary).join(' ')}`),
        overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
        background: getComputedStyle(document.body).backgroundColor,
        language: document.documentElement.lang,
        title: document.title,
        heading: document.querySelector('h1').innerText,
        links: [...document.querySelectorAll('a, button')].map((e) => e.innerText),
      }));
      if (pictures) await page.screenshot({ path: `${pictures}/${name}-${language}-${scheme}-${width}.png` });
      result.looks.push({ name, scheme, width, ...seen });
    }
  }
}

try {
  await page.goto(`${down}/page`);
  await look('unreachable');
  await page.goto(`${site}/callback?state=x`);
  await look('failed');
  await page.goto(`${site}/page`);
  await look('not-allowed');
  await follow(`${site}${logout}`);
  await look('confirm');
  await Promise.all([page.waitForNavigation(), page.locator('button').click()]);
  await look('signed-out');
} catch (e) {
  result.error = String(e?.stack ?? e);
} finally {
  await context.close();
}
console.log(JSON.stringify(result));
process.exit();
