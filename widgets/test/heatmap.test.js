import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, bytes, HOSTILE, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../heatmap.js")).default;

/** Two texts of 3 and 2 tokens, two latents. */
const state = (more = {}) => ({
  latents: [7, 9], latent: 7, names: [], first: 0, n_sequences: 2, page: 0, n_pages: 1,
  sequences: [{ ids: [5, 6, 7], text: ["<bos>", " cat", "\n"], special: [0] }, { ids: [8, 9], text: ["a", "<b>x</b>"] }],
  values: bytes([0, 3, 0, 1, 0, /* latent 9 */ 0, 0, 5, 0, 2]), percentiles: bytes([]), maxima: [3, 5],
  vmin: null, vmax: null, show_whitespace: false, selected_sequence: null, selected_token: null, selected_span: null, can_ask: false,
  ...more,
});
const shades = (el) => all(el, ".sl-tok").map((s) => s.style.getPropertyValue("--a"));

test("the right tokens are shaded", () => { // C57
  const { el } = mount(widget, state());
  assert.deepEqual(shades(el), ["", "1.000", "", "0.380", ""]);
  assert.equal(el.querySelector("b:not(.sl-status b)"), null);
  assert.equal(all(el, ".sl-tok")[4].textContent, "<b>x</b>");
});

test("another latent draws its own values, scaled to its own maximum", async () => {
  const { el, model } = mount(widget, state());
  all(el, ".sl-latents button")[1].click();
  assert.equal(model.get("latent"), 9);
  await settle();
  assert.deepEqual(shades(el), ["", "", "1.000", "", "0.442"]);
  assert.equal(all(el, '.sl-latents [aria-pressed="true"]')[0].textContent, "9");
});

test("a locked scale stays for every latent", async () => {
  const { el, model } = mount(widget, state());
  el.querySelector(".sl-scale button").click();
  assert.equal(model.get("vmax"), 3);
  model.set("latent", 9);
  await settle();
  assert.deepEqual(shades(el), ["", "", "1.000", "", "0.690"]);
  el.querySelector(".sl-scale button").click();
  assert.equal(model.get("vmax"), null);
});

test("a scale that is not a scale is not taken", () => {
  const { el, model } = mount(widget, state());
  const high = all(el, ".sl-scale input")[1];
  for (const wrong of ["", "abc", "-4", "0"]) {
    high.value = wrong;
    high.dispatchEvent(new Event("change"));
    assert.equal(model.get("vmax"), null);
    assert.equal(high.value, "3");
  }
});

test("click selects and tells Python; Escape clears", () => {
  const { el, model } = mount(widget, state());
  const token = all(el, ".sl-tok")[3];
  point(token, "pointerdown");
  point(token, "pointerup");
  assert.deepEqual([model.get("selected_sequence"), model.get("selected_token"), model.saved], [1, 0, 1]);
  assert.equal(token.getAttribute("aria-selected"), "true");
  assert.match(el.querySelector(".sl-status").textContent, /id 8.*position 0.*activation 1/);
  press(el.querySelector(".sl-sequences"), "Escape");
  assert.equal(model.get("selected_token"), null);
});

test("arrow keys move, over texts too, and stop at the ends", () => {
  const { el, model } = mount(widget, state());
  const list = el.querySelector(".sl-sequences");
  const at = () => [model.get("selected_sequence"), model.get("selected_token")];
  press(list, "ArrowRight");
  assert.deepEqual(at(), [0, 0]);
  press(list, "ArrowLeft");
  assert.deepEqual(at(), [0, 0]);
  press(list, "ArrowRight");
  press(list, "ArrowRight");
  press(list, "ArrowRight");
  assert.deepEqual(at(), [0, 2]);
  press(list, "ArrowDown");
  assert.deepEqual(at(), [1, 1]);
  press(list, "ArrowLeft", { shiftKey: true });
  assert.deepEqual(model.get("selected_span"), [1, 0, 2]);
});

test("in right-to-left text the left arrow goes on", () => {
  const { el, model } = mount(widget, state({ n_sequences: 1, sequences: [{ ids: [1, 2], text: ["שלום", " עולם"] }], values: bytes([1, 1, 0, 0]), selected_sequence: 0, selected_token: 0 }));
  assert.equal(el.querySelector(".sl-text").getAttribute("dir"), "rtl");
  press(el.querySelector(".sl-sequences"), "ArrowLeft");
  assert.equal(model.get("selected_token"), 1);
});

test("dragging marks a span and asks for its latents", async () => {
  const { el, model } = mount(widget, state({ can_ask: true }));
  model.answer = (method) => (method === "span" ? [{ latent: 42, inside: 2, outside: 0, max: 3 }] : null);
  const [a, b] = all(el, ".sl-tok");
  point(a, "pointerdown");
  point(b, "pointerover");
  point(b, "pointerup");
  assert.deepEqual(model.get("selected_span"), [0, 0, 2]);
  assert.deepEqual(all(el, ".sl-tok").map((s) => s.classList.contains("sl-in-span")), [true, true, false, false, false]);
  await new Promise((r) => setTimeout(r, 320));
  assert.equal(el.querySelector(".sl-found button").textContent, "42");
  el.querySelector(".sl-found button").click();
  assert.deepEqual(model.sent.map((m) => m.method), ["span", "add"]);
});

test("the tooltip names the token, its id, place, activation and percentile", () => {
  const { el } = mount(widget, state({ percentiles: bytes([NaN, 0.975, NaN, 0.5, NaN, NaN, NaN, NaN, NaN, NaN]) }));
  point(all(el, ".sl-tok")[1], "pointerover");
  assert.match(el.querySelector(".sl-tip.sl-open").textContent, /cat.*id6.*position1.*activation3.*percentile97\.5/);
  point(all(el, ".sl-tok")[2], "pointerover");
  assert.doesNotMatch(el.querySelector(".sl-tip").textContent, /percentile/);
});

test("a character of several tokens: one element, every token in the tip", () => { // C05
  const text = { ids: [240, 159, 153, 130, 97], text: ["🙂", "a"], size: [4, 1], labels: { 0: "\\xf0", 1: "\\x9f", 2: "\\x99", 3: "\\x82" } };
  const { el } = mount(widget, state({ n_sequences: 1, latents: [7], sequences: [text], values: bytes([0, 0, 2, 0, 0]), maxima: [2] }));
  assert.deepEqual(all(el, ".sl-tok").map((s) => s.textContent), ["🙂", "a"]);
  point(all(el, ".sl-tok")[0], "pointerover");
  assert.deepEqual(all(el, ".sl-tip .sl-chip").map((c) => c.textContent), ["\\xf0", "\\x9f", "\\x99", "\\x82"]);
});

test("hostile tokens are text everywhere they appear", () => { // C03
  const sequences = [{ ids: HOSTILE.map((_, i) => i), text: HOSTILE, name: "<i>name</i>" }];
  const { el } = mount(widget, state({ latents: [7], names: ["<u>x</u>"], n_sequences: 1, sequences, values: bytes(HOSTILE.map(() => 1)), maxima: [1], selected_sequence: 0, selected_token: 0 }));
  assert.deepEqual(all(el, ".sl-tok").map((s) => s.textContent), HOSTILE);
  point(all(el, ".sl-tok")[0], "pointerover");
  assert.equal(all(el, "img, script, u, i, b:not(.sl-status b)").length, 0);
});

test("pages are asked for, and the numbers go on", () => {
  const { el, model } = mount(widget, state({ first: 4, page: 1, n_pages: 3, n_sequences: 9 }));
  assert.match(el.textContent, /texts 4–5 of 9/);
  all(el, ".sl-bar button").find((b) => b.title === "Next page").click();
  assert.deepEqual([model.sent[0].method, model.sent[0].params], ["page", { page: 2 }]);
  const token = all(el, ".sl-tok")[0];
  point(token, "pointerdown");
  point(token, "pointerup");
  assert.equal(model.get("selected_sequence"), 4);
});

test("a latent that never fires draws plain text", () => { // C55
  const { el } = mount(widget, state({ values: bytes(Array(10).fill(0)), maxima: [0, 0] }));
  assert.deepEqual(new Set(shades(el)), new Set([""]));
});

test("an error of Python is shown and goes away", () => {
  const { el, model } = mount(widget, state());
  const box = el.querySelector(".sl-alert");
  assert.equal(box.hidden, true);
  model.set("error", { message: "<b>no</b>", traceback: "line 1" });
  assert.match(box.textContent, /<b>no<\/b>/);
  assert.equal(box.querySelector("b"), null);
  assert.equal(box.querySelector("pre").textContent, "line 1");
  model.set("error", {});
  assert.equal(box.hidden, true);
});

test("nothing listens after the view is gone", () => {
  const { controller, model } = mount(widget, state());
  assert.equal(model.listening, 1);
  controller.abort();
  assert.equal(model.listening, 0);
});

test("what is not a number is neither silent nor the end of the scale", async () => { // D19
  const selected = { selected_sequence: 0, selected_token: 2 };
  const { el, model } = mount(widget, state({ values: bytes([0, 2, NaN, Infinity, -Infinity, 0, 0, 5, 0, 2]), maxima: [2, 5], ...selected }));
  assert.deepEqual(shades(el), ["", "1.000", "", "1.000", ""]);
  assert.deepEqual(all(el, ".sl-tok").map((s) => s.classList.contains("sl-nan")), [false, false, true, false, false]);
  const said = () => el.querySelector(".sl-status").textContent;
  assert.match(said(), /activation\W*NaN/);
  for (const [token, text] of [[0, /activation\W*∞/], [1, /activation\W*−∞/]]) {
    model.set("selected_sequence", 1);
    model.set("selected_token", token);
    await settle();
    assert.match(said(), text);
  }
});
