import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, HOSTILE, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../table.js")).default;
const { arrange, filtered } = await import("../table_rows.js");
const { unpack } = await import("../columns.js");

/** Packed columns at an odd offset. @param {[number, number, number, number, number][]} rows latent, count, mean, max, token */
export function pack(rows, extra = []) {
  const n = rows.length;
  const view = new DataView(new ArrayBuffer(1 + 4 * n * 5 + 4 * extra.length), 1);
  rows.forEach((row, i) => row.forEach((v, c) => (c === 2 || c === 3 ? view.setFloat32(4 * (c * n + i), v, true) : view.setUint32(4 * (c * n + i), v, true))));
  extra.forEach((v, i) => view.setFloat32(4 * (5 * n + i), v, true));
  return view;
}
const ROWS = [[0, 0, 0, 0, 0], [1, 10, 1, 5, 1], [2, 30, 2.5, 4, 2], [3, 10, 0.5, 9, 1]];
const TOKENS = ["", " fox", "<b>"];
const state = (more = {}) => ({
  latent: 2, selected: [], query: "", mode: "text", sort: "count", descending: true, density: null, show_dead: false, only_labelled: false, d_sae: 4,
  counted: 1000, labels: { 3: "<i>foxes</i>" }, sources: { 3: "<b>me</b>: 0.9" }, found: {}, read_only: false, packed: undefined, tokens: [], texts: null,
  measure: "", measures: [], ...more,
});
const answers = (method) => (method === "columns" ? { tokens: TOKENS, buffers: [pack(ROWS)] } : null);
async function table(more) {
  const made = mount(widget, state(more));
  made.model.answer = answers;
  await settle();
  return made;
}
const shown = (el) => all(el, ".sl-tall > .sl-row:not([hidden])").sort((a, b) => a.dataset.i - b.dataset.i);
const latents = (el) => shown(el).map((r) => Number(r.querySelector(".sl-c-latent").textContent));

test("columns come as bytes, rows in the order of a column, what never fires is left out", async () => {
  const { el, model } = await table();
  assert.deepEqual(model.sent.map((m) => m.method), ["columns"]);
  assert.deepEqual(latents(el), [2, 1, 3]);
  assert.deepEqual([...shown(el)[0].children].map((c) => c.textContent), ["2", "3.00 %", "2.50", "4.00", "<b>", ""]);
  assert.equal(shown(el)[2].querySelector(".sl-c-label").textContent, "<i>foxes</i><b>me</b>: 0.9");
  assert.equal(shown(el)[2].querySelector(".sl-c-label").title, "<i>foxes</i>\n<b>me</b>: 0.9");
  assert.equal(el.querySelector(".sl-tall b, .sl-tall i, .sl-tall img"), null);
  assert.match(el.textContent, /3 of 4 latents/);
  model.set("show_dead", true);
  await settle();
  assert.deepEqual(latents(el), [2, 1, 3, 0]);
  assert.equal(shown(el)[3].querySelector(".sl-c-count").textContent, "never");
});

test("a click on a heading sorts, a second one turns the order", async () => {
  const { el, model } = await table();
  const head = (name) => all(el, ".sl-th").find((b) => b.textContent.includes(name));
  head("max").click();
  await settle();
  assert.deepEqual([model.get("sort"), model.get("descending"), latents(el)], ["max", true, [3, 1, 2]]);
  head("max").click();
  await settle();
  assert.deepEqual(latents(el), [2, 1, 3]);
  assert.equal(el.querySelector('[aria-sort="ascending"]').textContent, "max▴");
  head("strongest").click();
  await settle();
  assert.deepEqual([model.get("descending"), latents(el)], [false, [1, 3, 2]]); // " fox" before "<b>"; equal ones by number
});

test("a measure that is kept beside the index is shown, sorts, and is undefined where it was not measured", async () => {
  const made = mount(widget, state({ measures: ["lookup_f1", "burst"], measure: "lookup_f1" }));
  made.model.answer = () => ({ tokens: TOKENS, buffers: [pack(ROWS, [NaN, 0.5, 0.25, 0.75, NaN, 1, NaN, 2])] });
  await settle();
  const { el, model } = made, cell = () => shown(el).map((r) => r.querySelector(".sl-c-measure").textContent);
  assert.deepEqual([latents(el), cell()], [[2, 1, 3], ["0.250", "0.500", "0.750"]]);
  const choice = [...el.querySelectorAll("select")].find((s) => s.getAttribute("aria-label") === "Measure shown");
  choice.value = "burst";
  choice.dispatchEvent(new Event("change"));
  await settle();
  assert.deepEqual([model.get("sort"), latents(el), cell()], ["measure", [3, 1, 2], ["2.00", "1.00", "–"]]);
  assert.match(el.querySelector(".sl-headrow").textContent, /burst/);
});

test("filters", () => {
  const columns = unpack(pack(ROWS), TOKENS);
  const all_ = { labels: { 3: "Foxes" }, dead: true, labelled: false, name: "", only: null, least: 0, most: Infinity };
  const by = (want) => [...filtered(columns, { ...all_, ...want })];
  assert.deepEqual(by({}), [0, 1, 2, 3]);
  assert.deepEqual(by({ dead: false }), [1, 2, 3]);
  assert.deepEqual(by({ labelled: true }), [3]);
  assert.deepEqual(by({ name: "FOX" }), [1, 3]);
  assert.deepEqual(by({ name: "foxes" }), [3]);
  assert.deepEqual(by({ only: new Set([2, 0]) }), [0, 2]);
  assert.deepEqual(by({ least: 10, most: 10 }), [1, 3]);
  const sorted = (key, descending) => [...arrange(columns, filtered(columns, all_), { key, descending, labels: all_.labels, scores: new Map([[2, [5, 0.5, 1, 0.7]]]) })];
  assert.deepEqual(sorted("mean", false), [3, 1, 2, 0], "what has no mean comes last");
  assert.deepEqual(sorted("mean", true), [2, 1, 3, 0]);
  assert.deepEqual(sorted("label", true), [3, 0, 1, 2]);
  assert.deepEqual(sorted("f1", true), [2, 0, 1, 3]);
  assert.deepEqual(sorted("latent", true), [3, 2, 1, 0]);
});

test("100,000 rows: a few dozen elements, in order within a blink", async () => {
  const n = 100_000;
  const view = new DataView(new ArrayBuffer(20 * n));
  for (let i = 0; i < n; i += 1) { view.setUint32(4 * i, i, true); view.setUint32(4 * (n + i), 1 + ((i * 7919) % 9973), true); }
  const columns = unpack(view, [""]);
  const began = performance.now();
  const rows = arrange(columns, filtered(columns, { labels: {}, dead: false, labelled: false, name: "", only: null, least: 0, most: Infinity }), { key: "count", descending: true, labels: {}, scores: new Map() });
  assert.ok(performance.now() - began < 1000);
  assert.ok(rows.every((p, i) => i === 0 || columns.count[p] <= columns.count[rows[i - 1]]));
  const { el, model } = mount(widget, state({ d_sae: n, latent: 5 }));
  model.answer = () => ({ tokens: [""], buffers: [view] });
  await settle();
  await settle();
  assert.match(el.textContent, /100,000 of 100,000/);
  assert.ok(all(el, ".sl-row").length < 60);
  const grid = el.querySelector(".sl-grid");
  assert.equal(grid.getAttribute("aria-rowcount"), "100001");
  grid.scrollTop = 26 * 5000;
  grid.dispatchEvent(new Event("scroll"));
  await settle();
  assert.ok(shown(el).some((r) => r.dataset.i === "5000"));
  assert.equal(shown(el).find((r) => r.dataset.i === "5000").querySelector(".sl-c-latent").textContent, String(rows[5000]));
});

test("the cursor and the picks, by key and pointer", async () => {
  const { el, model } = await table();
  const grid = el.querySelector(".sl-grid");
  press(grid, "ArrowDown");
  assert.equal(model.get("latent"), 1);
  press(grid, " ");
  press(grid, "ArrowDown");
  press(grid, "Enter");
  assert.deepEqual([model.get("latent"), model.get("selected")], [3, [1, 3]]);
  press(grid, "ArrowDown");
  assert.equal(model.get("latent"), 3, "it stops at the end");
  press(grid, "Home");
  assert.equal(model.get("latent"), 2);
  press(grid, "Escape");
  assert.deepEqual(model.get("selected"), []);
  const rows = shown(el);
  point(rows[1], "click", { ctrlKey: true });
  assert.deepEqual([model.get("latent"), model.get("selected")], [2, [1]]);
  point(rows[2], "click", { shiftKey: true });
  assert.deepEqual([model.get("latent"), model.get("selected").sort()], [3, [1, 3]]);
  assert.deepEqual(shown(el).map((r) => r.getAttribute("aria-selected")), ["false", "true", "true"]);
  assert.ok(shown(el)[2].classList.contains("sl-current"));
  model.set("latent", 2); // from Python, or a linked widget
  assert.ok(shown(el)[0].classList.contains("sl-current"));
  all(el, "button").find((b) => b.textContent.startsWith("pick all")).click();
  assert.deepEqual(model.get("selected"), [2, 1, 3]);
});

test("a search goes to Python, and its rows come with their scores", async () => {
  const { el, model } = await table();
  const box = el.querySelector(".sl-query");
  box.value = "fox";
  press(box, "Enter");
  assert.deepEqual([model.get("query"), model.get("mode")], ["fox", "text"]);
  model.set("found", { query: "fox", mode: "text", matches: 7, rows: [[3, 5, 0.5, 1, 0.667], [1, 2, 0.2, 0.1, 0.133]] });
  model.set("sort", "f1");
  await settle();
  assert.deepEqual(latents(el), [3, 1]);
  assert.equal(shown(el)[0].querySelector(".sl-c-f1").textContent, "0.667");
  assert.match(el.textContent, /2 of 4 latents · the text occurs 7 times/);
  model.set("found", { query: "zebra", mode: "text", matches: 0, rows: [] });
  await settle();
  assert.match(el.textContent, /The text does not occur in the index\.0 of 4 latents · the text occurs 0 times/);
});

test("a label is written in its cell", async () => {
  const { el, model } = await table();
  press(el.querySelector(".sl-grid"), "F2");
  const field = el.querySelector(".sl-c-label input");
  field.value = HOSTILE[0];
  press(field, "Enter");
  assert.deepEqual(model.sent.at(-1).params, { latent: 2, text: HOSTILE[0] });
  assert.equal(el.querySelector(".sl-c-label input"), null);
});

test("hostile tokens and labels are text", async () => { // C03, C67
  const rows = HOSTILE.map((_, i) => [i, 5, 1, 1, i + 1]);
  const { el, model } = mount(widget, state({ d_sae: 99, labels: Object.fromEntries(HOSTILE.map((t, i) => [i, t])), sources: { 0: HOSTILE[0] } }));
  model.answer = () => ({ tokens: ["", ...HOSTILE], buffers: [pack(rows)] });
  await settle();
  for (const row of shown(el)) {
    const i = Number(row.querySelector(".sl-c-latent").textContent);
    assert.equal(row.querySelector(".sl-c-token").textContent, HOSTILE[i] || "(empty)");
    assert.equal(row.querySelector(".sl-c-label").textContent, i ? HOSTILE[i] : HOSTILE[0] + HOSTILE[0]);
  }
  assert.equal(el.querySelector(".sl-tall img, .sl-tall script, .sl-tall b"), null);
});

test("a saved table searches in its examples", async () => {
  const { el, model } = await table({ read_only: true, packed: pack(ROWS), tokens: TOKENS, texts: ["", "a fox\n\nb", "the box\n\na box", "fox"], show_dead: true });
  assert.deepEqual(model.sent, []);
  const box = el.querySelector(".sl-query");
  box.value = "ox";
  press(box, "Enter");
  await settle();
  assert.deepEqual(latents(el), [2, 1, 3]);
  assert.equal(shown(el)[0].querySelector(".sl-c-hits").textContent, "2");
  model.set("mode", "regex");
  await settle();
  box.value = "^fox|^the";
  press(box, "Enter");
  await settle();
  assert.deepEqual(latents(el), [2, 3]);
  box.value = "(";
  press(box, "Enter");
  await settle();
  assert.match(el.querySelector(".sl-alert").textContent, /Invalid regular expression/);
});

test("a view that is closed listens no more", async () => {
  const { model, controller } = await table();
  controller.abort();
  assert.equal(model.listening, 0);
});
