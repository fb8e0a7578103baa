// How the page looks and is used without a mouse: axe, screenshots, width, keyboard.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Those of the page, where axe-core is. */
const PACKAGES = createRequire(new URL('../../../runtime/web/build.mjs', import.meta.url));

const VIEWS = [
  { name: 'light', colorScheme: 'light', width: 1_000 },
  { name: 'dark', colorScheme: 'dark', width: 1_000 },
  { name: 'phone', colorScheme: 'light', width: 360 },
  { name: 'phone-dark', colorScheme: 'dark', width: 360 },
];

/** Of a page that shows a result: axe in every view, nothing wider than the screen. Leaves screenshots in `shots`. */
export async function checkLook(tab, { shots, check }) {
  const axe = await readFile(PACKAGES.resolve('axe-core/axe.min.js'), 'utf8');
  await tab.evaluate(axe);
  for (const { name, colorScheme, width } of VIEWS) {
    await tab.setViewportSize({ width, height: 800 });
    await tab.emulateMedia({ colorScheme });
    // Canvases are drawn anew.
    await tab.waitForTimeout(400);
    await tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    for (const open of [false, true]) {
      await tab.evaluate((open) => document.querySelectorAll('details').forEach((details) => (details.open = open)), open);
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${name}: ${wide} pixels wider than the screen`);
      const { violations } = await tab.evaluate(() => window.axe.run());
      for (const { id, help, nodes } of violations) check(false, `${name}: axe ${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
    }
    await tab.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = false)));
  }
  await tab.setViewportSize({ width: 1_000, height: 800 });
  await tab.emulateMedia({ colorScheme: 'light' });
  console.log(`\naxe-core ${await tab.evaluate(() => window.axe.version)}: light, dark, phone; screenshots in ${shots}`);
}

/** Everything can be reached and used by the keyboard alone, in the order of the page. */
export async function checkKeyboard(tab, check) {
  const focused = () => tab.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);
  await tab.focus('#choose');
  await tab.keyboard.press('Shift+Tab');
  check((await focused()) === 'BODY', 'nothing is before the first button');
  const order = [];
  for (let i = 0; i < 12; i++) {
    await tab.keyboard.press('Tab');
    const id = await focused();
    if (id === 'BODY') break;
    order.push(id);
  }
  const wanted = ['choose', 'microphone', 'example', 'all-artists', 'play', 'position', 'SUMMARY', 'save', 'card-artists-title'];
  check(order.join() === wanted.join(), `focus goes ${order.join(', ')} and not ${wanted.join(', ')}`);

  await tab.focus('#position');
  const words = () => tab.getAttribute('#position', 'aria-valuetext');
  const before = await words();
  for (let i = 0; i < 5; i++) await tab.keyboard.press('ArrowRight');
  await tab.waitForFunction(() => document.querySelector('audio').currentTime > 4);
  check((await words()) !== before && /^0:05 of /.test(await words()), `five arrows say ${await words()}`);
  await tab.focus('#play');
  await tab.keyboard.press('Enter');
  await tab.waitForFunction(() => document.querySelector('audio').currentTime > 5.3);
  check((await tab.getAttribute('#play', 'aria-label')) === 'Pause', 'the button says that it pauses');
  const [at, head] = await tab.evaluate(() => [
    document.querySelector('audio').currentTime / document.querySelector('#position').max,
    Number(document.querySelector('#playhead').style.getPropertyValue('--at')),
  ]);
  check(Math.abs(at - head) < 0.01, `the playhead is at ${head}, the audio at ${at}`);
  await tab.keyboard.press('Enter');
  await tab.focus('#all-artists');
  await tab.keyboard.press('Enter');
  check((await tab.locator('#ranking li').count()) > 5, 'all artists are shown');
  await tab.keyboard.press('Enter');
  const chooser = tab.waitForEvent('filechooser');
  await tab.focus('#choose');
  await tab.keyboard.press('Enter');
  await chooser;
  check((await tab.textContent('#status')).length > 20, 'screen readers are told the answer');
  console.log(`keyboard: ${order.join(', ')}`);
}
