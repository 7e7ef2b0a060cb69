import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, HOSTILE, mount, press, settle } from "./fake.js";

browser();
const { default: widget } = await import("../compare.js");

const side = (latent, more = {}) => ({
  latent, d_sae: 64, counted: 900, excluded: 10, decoder_norm: 1, label: "", logits: { up: [["<b>", 1]], down: [] },
  stats: { n: 9, density: 0.01, density_lo: null, density_hi: null, mean: 1, max: 4, mean_sq: 1, skew: 1, kurtosis: 1 },
  histogram: { lo: [0, 2], hi: [2, 4], count: [8, 1] }, ...more,
});
const example = (values, other, text = ["The", " <b>", " fox"]) => ({
  text: { ids: text.map((_, i) => i), text }, values, other, centre: 1, start: 0, row: 0, position: 1, doc: 5, value: values[1], count: 1,
});
const payload = (latent = 3, more = {}) => ({
  latent, partner: 8, score: 0.75, second: 0.5, null_quantile: 1, q: 0.01, matched: true, mutual: true, sides: { a: side(latent), b: side(8) },
  positions: { both: 1200, a: 30, b: 0 },
  texts: { both: [{ a: example([0, 2, 1], [1, 4, 0]), b: example([1, 4, 0], [0, 2, 1]) }], a: [{ a: example([0, 2, 0], [0, 0, 0]), b: example([0, 0, 0], [0, 2, 0]) }], b: [] },
  ...more,
});
const pair = (latent, partner, matched = true) => ({ latent, partner, score: 0.75, matched, token: " <i>", partner_token: "x" });
const state = (more = {}) => ({
  latent: 3, payload: payload(), pairs: [pair(3, 8), pair(5, 8), pair(1, 2, false)], n_pairs: 3,
  about: { by: "activation", of: "correlation on 900 tokens", a: "zoo", b: "twin" }, show_whitespace: false, read_only: false, ...more,
});

test("agreement and disagreement have classes of their own, on both sides", () => {
  const { el } = mount(widget, state());
  const [a, b] = all(el, '[data-kind="both"] .sl-example').map((row) => all(row, ".sl-tok"));
  assert.deepEqual(a.map((t) => ["hot", "alone", "missed"].filter((c) => t.classList.contains(`sl-${c}`)).join()), ["missed", "hot", "hot,alone"]);
  assert.deepEqual(b.map((t) => ["hot", "alone", "missed"].filter((c) => t.classList.contains(`sl-${c}`)).join()), ["hot,alone", "hot", "missed"]);
  assert.match(el.querySelector('[data-kind="both"] h3').textContent, /Both fire at 1,200 positions; strongest/);
  assert.equal(el.querySelector('[data-kind="b"] h3').textContent, "Only b fires at 0 positions");
});

test("arrows go round the pairs, also before an answer; a click opens one", async () => {
  const { el, model } = mount(widget, state());
  const view = el.querySelector(".saelab");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"]) press(view, key);
  all(el, ".sl-pairs .sl-pair")[1].click();
  assert.deepEqual(model.sent.map((m) => [m.method, m.params.latent]), [5, 1, 3, 1, 5].map((i) => ["open", i]));
  model.set("payload", payload(5, { matched: false }));
  model.set("latent", 5);
  await settle();
  assert.deepEqual(all(el, ".sl-pairs .sl-pair").map((p) => p.getAttribute("aria-selected")), ["false", "true", "false"]);
  assert.match(el.querySelector(".sl-scores").textContent, /correlation 0\.75.*no more than chance/);
  assert.ok(all(el, ".sl-pairs .sl-pair")[2].hasAttribute("data-unmatched"));
});

test("an answer that comes between two keys does not take them back", async () => {
  const { el, model } = mount(widget, state());
  const view = el.querySelector(".saelab"), opened = () => model.sent.map((m) => m.params.latent);
  press(view, "ArrowRight");
  press(view, "ArrowRight");
  model.set("latent", 5); // the answer to the first
  press(view, "ArrowLeft");
  assert.deepEqual(opened(), [5, 1, 5]);
  await settle();
  model.set("latent", 1); // set in Python
  press(view, "ArrowRight");
  assert.equal(opened().at(-1), 3);
});

test("a list that was cut says so", () => {
  const { el } = mount(widget, state({ n_pairs: 4000 }));
  assert.match(el.querySelector("aside").textContent, /the best 3 of 4,000 pairs/);
});

test("hostile tokens are inert", () => {
  const zeros = HOSTILE.map(() => 1);
  const texts = { both: [{ a: example(zeros, zeros, HOSTILE), b: example(zeros, zeros, HOSTILE) }], a: [], b: [] };
  const pairs = HOSTILE.map((token, i) => ({ ...pair(i, i), token, partner_token: token }));
  const { el } = mount(widget, state({ pairs, payload: payload(3, { texts, sides: { a: side(3, { label: HOSTILE.join() }), b: side(8) } }) }));
  assert.equal(el.querySelector("img, script, iframe"), null);
  assert.deepEqual(all(el, '[data-at="both 0 a"] .sl-tok').map((t) => t.textContent), HOSTILE);
});
