// Takes a picture of a page, as the variable BROWSER says.
import { chromium } from 'playwright-core';

const { executable, profile, page: address, picture, timeout } = JSON.parse(process.env.BROWSER);

let context;
process.stdin.on('end', () => context?.close().finally(() => process.exit(1))).resume();

context = await chromium.launchPersistentContext(profile, {
  executablePath: executable,
  headless: true,
  viewport: { width: 960, height: 800 },
  deviceScaleFactor: 1.5,
  colorScheme: 'light',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
context.setDefaultTimeout(timeout);
const page = await context.newPage();
await page.goto(address);
await page.screenshot({ path: picture });
console.log(JSON.stringify({ title: await page.title() }));
await context.close();
process.exit();
