// Starts the browser that scripts/browser/run fetched.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const folder = process.env.LEITMOTIF_BROWSER;
if (!folder) throw new Error("start this by scripts/browser/run SCRIPT.mjs");
const { resolve } = createRequire(`${folder}/package.json`);
const load = (name) => import(pathToFileURL(resolve(name)).href);

/** A headless Chromium, as Playwright's `Browser`; more switches for it may be given. */
export async function launch(...switches) {
  const { default: chromium } = await load("@sparticuz/chromium");
  const { chromium: playwright } = (await load("playwright-core")).default;
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    // Not the package's own switches, which are for servers that run one page in one process.
    args: switches,
  });
}
