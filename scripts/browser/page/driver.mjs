// The page as a user drives it.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** What a slow machine may take to load or to recognise. */
const PATIENCE = { timeout: 120_000 };

/** Opens the page and waits for its model; what the console reports is added to `reports`. */
export async function open(context, address, reports = []) {
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) reports.push(message.text());
  });
  page.on('pageerror', (error) => reports.push(error.message));
  await page.goto(address);
  await ready(page);
  return page;
}

export const ready = (page) => page.waitForFunction(() => document.querySelector('#engine').textContent !== '', null, PATIENCE);

const settled = (page) =>
  page.waitForFunction(
    () => document.querySelector('#progress').hidden && (!document.querySelector('#save').hidden || !document.querySelector('#error').hidden),
    null,
    PATIENCE,
  );

/** Chooses a file, and gives the saved answer, or the message in `error`. */
export async function recognise(page, file) {
  await page.evaluate(() => {
    // What the last file left must not pass for this one's.
    document.querySelector('#save').hidden = true;
    document.querySelector('#error').hidden = true;
  });
  await page.setInputFiles('#file', file);
  await settled(page);
  return outcome(page);
}

/** The same by dropping a file on the page. */
export async function drop(page, file) {
  const base64 = (await readFile(file)).toString('base64');
  await page.evaluate(
    async ([base64, name]) => {
      document.querySelector('#save').hidden = true;
      document.querySelector('#error').hidden = true;
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], name));
      document.querySelector('main').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    },
    [base64, basename(file)],
  );
  await settled(page);
  return outcome(page);
}

async function outcome(page) {
  if (await page.isVisible('#error')) return { error: await page.textContent('#error') };
  return { answer: await saved(page) };
}

/** The answer as the page saves it. */
export async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
  return JSON.parse(await readFile(await download.path(), 'utf8'));
}

/** Chooses a model, and gives the message if it is refused. */
export async function openModel(page, file) {
  await page.evaluate(() => {
    document.querySelector('#error').hidden = true;
    document.querySelector('#engine').textContent = '';
  });
  await page.setInputFiles('#file', file);
  await page.waitForFunction(
    () => document.querySelector('#engine').textContent !== '' || !document.querySelector('#error').hidden,
    null,
    PATIENCE,
  );
  return (await page.isVisible('#error')) ? page.textContent('#error') : null;
}
