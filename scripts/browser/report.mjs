// Checks a report in a browser without a network: report.mjs REPORT.html [FOLDER for screenshots] [run]
// With `run` the page is that of one run, which has other figures than that of the experiments.
//
// In light and dark mode, on a phone and in print: no requests, no console messages, no overflow, nothing missing, enough contrast.
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "./launch.mjs";

const [report, shots, kind] = process.argv.slice(2);
if (!report) throw new Error("report.mjs REPORT.html [FOLDER] [run]");
/** The paper's five figures by section, and its two tables; of a run, its curves and who is taken for whom. */
const FIGURES = kind === "run" ? ["curves"] : ["splits", "filters", "segments", "heads", "topk"];
const TABLES = kind === "run" ? ["artists", "confusion-clips"] : ["genres-wrong", "genres-shared"];
/** WCAG 2.1, AA: of text, and of meaningful lines. */
const TEXT_CONTRAST = 4.5;
const LINE_CONTRAST = 3;
/** A4 with Chromium's own margins, in CSS pixels. */
const PAPER = { width: 718, height: 1047 };

const VIEWS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true },
  "phone, dark": { colorScheme: "dark", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true },
  print: { colorScheme: "dark", viewport: PAPER, print: true },
};

if (shots) mkdirSync(shots, { recursive: true });
const address = pathToFileURL(resolve(report)).href;
const problems = [];
const browser = await launch();
for (const [name, { print, ...options }] of Object.entries(VIEWS)) {
  const addProblem = (what) => problems.push(`${name}: ${what}`);
  const context = await browser.newContext({ ...options, offline: true });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && addProblem(`the console reports: ${message.text()}`));
  page.on("pageerror", (error) => addProblem(`a script fails: ${error}`));
  page.on("request", (request) => {
    const url = request.url();
    if (url !== address && !url.startsWith("data:")) addProblem(`it requests ${url}`);
  });
  if (print) await page.emulateMedia({ media: "print" });
  await page.goto(address);
  const dark = options.colorScheme === "dark" && !print;
  (await page.evaluate(check, { FIGURES, TABLES, TEXT_CONTRAST, LINE_CONTRAST, dark, print: Boolean(print) })).forEach(addProblem);
  if (shots) {
    const file = `${shots}/${name.replace(", ", "-")}`;
    await page.screenshot({ path: `${file}.png`, fullPage: true });
    if (print) await page.pdf({ path: `${file}.pdf`, format: "A4" });
  }
  await context.close();
}
await browser.close();
if (problems.length) {
  console.error(`${report} has problems:\n${problems.map((p) => `  ${p}`).join("\n")}`);
  process.exit(1);
}
console.log(`${report}: ${Object.keys(VIEWS).join("; ")}: no requests, nothing missing or too wide, enough contrast`);

/** Runs in the page; returns its problems. */
function check({ FIGURES, TABLES, TEXT_CONTRAST, LINE_CONTRAST, dark, print }) {
  const problems = [];
  const box = (element) => element.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;

  if (document.documentElement.scrollWidth > wide) {
    const out = [...document.querySelectorAll("body *")].filter((e) => box(e).right > wide + 1 && !e.closest(".scroll"));
    problems.push(`it is ${document.documentElement.scrollWidth} pixels wide on ${wide}: ${out.slice(0, 3).map((e) => e.outerHTML.slice(0, 80)).join(" | ")}`);
  }
  // On a wide screen nothing needs scrolling, and on a phone what does says so.
  if (!print) document.querySelectorAll("details").forEach((details) => (details.open = true));
  for (const scroll of document.querySelectorAll(".scroll")) {
    const table = scroll.firstElementChild;
    const too = `the table ${table.id} is ${scroll.scrollWidth} pixels wide on ${scroll.clientWidth}`;
    const hint = scroll.previousElementSibling?.matches(".hint") && box(scroll.previousElementSibling).height > 0;
    if (scroll.scrollWidth > scroll.clientWidth && !hint) problems.push(too);
    for (const row of wide > 1200 ? table.rows : []) {
      if (box(row).height > 160) problems.push(`a row of the table ${table.id} is ${Math.round(box(row).height)} pixels high`);
    }
  }
  // Print cannot scroll.
  if (print) {
    for (const table of document.querySelectorAll("table")) {
      if (box(table).right > wide + 1) problems.push(`the table ${table.id} is ${Math.round(box(table).right - wide)} pixels wider than the paper`);
      if (box(table).height === 0) problems.push(`the table ${table.id} is folded`);
    }
  }

  for (const id of FIGURES) {
    const chart = [...document.querySelectorAll(`#section-${id} figure svg.chart`)].find((svg) => box(svg).width > 0);
    const { width = 0, height = 0 } = chart ? box(chart) : {};
    if (width < 250 || height < 150) problems.push(`the figure of ${id} is missing (${width} × ${height})`);
    else if (![...chart.querySelectorAll("polyline")].some((line) => line.points.length > 2 && box(line).width > 100)) problems.push(`the figure of ${id} has no line`);
  }
  for (const id of TABLES) {
    const table = document.getElementById(id);
    if (!table || box(table).height < 40 || table.tBodies[0].rows.length === 0) problems.push(`the table ${id} is missing`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => problems.push(`two elements are called ${id}`));
  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) problems.push(`an image is broken: ${image.alt}`);
  }
  for (const chart of document.querySelectorAll("svg.chart")) {
    const texts = [...chart.querySelectorAll("text")].filter((t) => t.textContent.trim());
    const label = chart.getAttribute("aria-label");
    const frame = box(chart);
    texts.forEach((text, i) => {
      const a = box(text);
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) problems.push(`“${text.textContent.trim()}” exceeds the frame of “${label}”`);
      for (const other of texts.slice(i + 1)) {
        const b = box(other);
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) problems.push(`“${text.textContent.trim()}” overlaps “${other.textContent.trim()}” in “${label}”`);
      }
    });
  }

  // Contrast as in WCAG: relative luminances of the element and of its nearest opaque background.
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = (colour, element) => {
    const [light, low] = [luminance(rgba(colour)), luminance(behind(element))].sort((a, b) => b - a);
    return (light + 0.05) / (low + 0.05);
  };
  if (dark !== luminance(behind(document.body)) < 0.2) problems.push(`its background is ${behind(document.body)}`);
  const faint = new Map();
  const checkContrast = (what, colour, element, least) => {
    const found = contrast(colour, element);
    if (found < least) faint.set(what, `${what} (${colour}) has a contrast of ${found.toFixed(2)}, and needs ${least}`);
  };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
    if (own && !element.closest("svg")) checkContrast(`text of ${element.tagName}.${element.className}`, getComputedStyle(element).color, element, TEXT_CONTRAST);
  }
  for (const text of document.querySelectorAll(".chart text")) checkContrast(`text in a chart, “${text.textContent.trim()}”`, getComputedStyle(text).fill, text, TEXT_CONTRAST);
  for (const line of document.querySelectorAll(".chart polyline[stroke-width='2']")) checkContrast(`a line of ${line.closest("svg").getAttribute("aria-label")}`, getComputedStyle(line).stroke, line, LINE_CONTRAST);
  problems.push(...faint.values());
  return problems;
}
