import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, bytes, HOSTILE, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../dashboard.js")).default;

const example = (row, value, more = {}) => ({
  text: { ids: [1, 2, 3], text: ["a", " b", " c"] }, values: [0, value, 0], centre: 1, start: 4, row, position: 5, doc: row, value, count: 1, ...more,
});
const payload = (latent, more = {}) => ({
  latent, d_sae: 64, counted: 1000, excluded: 20,
  stats: { n: 30, density: 0.03, density_lo: 0.021, density_hi: 0.042, mean: 1.5, mean_sq: 0.1, skew: 2, kurtosis: 9, max: 4, dead: false },
  histogram: { lo: [0, 1, 2, 3], hi: [1, 2, 3, 4], count: [20, 7, 2, 1] },
  examples: { top: [example(1, 4), example(2, 3, { count: 12 })], random: [example(3, 0.5)] },
  logits: { up: [[" to", 1], ["<b>", 0.5]], down: [["x", -0.7]] },
  nearest: { decoder: [{ latent: 3, similarity: 0.9, label: "<i>l</i>", token: " t" }], encoder: { reason: "no SAE attached" }, coactivation: [] },
  ...more,
});
const state = (more = {}) => ({
  latent: 5, payload: payload(5), tab: "top", brush: null, one_per_document: true, selected_sequence: null, selected_token: null, show_whitespace: false,
  vmax: null, label: "", note: "", source: "", available: null, read_only: false, ...more,
});
const dead = { stats: { n: 0, density: 0, density_lo: null, density_hi: null, mean: null, mean_sq: 0, skew: null, kurtosis: null, max: 0, dead: true },
  histogram: { lo: [], hi: [], count: [] }, examples: { top: [], random: [] } };
const values = (el) => all(el, ".sl-example .sl-act").map((n) => n.textContent);

test("statistics, examples, votes and neighbours are drawn", () => {
  const { el } = mount(widget, state());
  assert.match(el.querySelector(".sl-stats").textContent, /tokens counted1,000 \+ 20 special, left outfires on30density3 % 2\.1 – 4\.2/);
  assert.deepEqual(values(el), ["4.00", "3.00"]);
  assert.equal(all(el, ".sl-example")[1].querySelector(".sl-where").textContent, "×12doc 2");
  assert.equal(all(el, ".sl-histogram .sl-bin").length, 4);
  assert.deepEqual(all(el, ".sl-votes .sl-chip").map((n) => n.textContent), [" to", "<b>", "x"]);
  assert.equal(all(el, ".sl-centre").every((n) => n.textContent === " b"), true);
  assert.equal(el.querySelector("i, img, b:not(.sl-where b)"), null);
});

test("the length of the decoder row is told when it is known", () => {
  const told = (/** @type {object} */ more) => mount(widget, state({ payload: payload(5, more) })).el.querySelector(".sl-stats").textContent;
  assert.doesNotMatch(told({}), /decoder row/);
  assert.doesNotMatch(told({ decoder_norm: null }), /decoder row/);
  assert.match(told({ decoder_norm: 1.002 }), /decoder rowlength 1$/);
  assert.match(told({ decoder_norm: 1.37 }), /decoder rowlength 1\.37 not folded$/);
});

test("the activating token begins the right half of its row, and a right-to-left row is the mirror image", () => {
  const rtl = { ids: [1, 2, 3], text: ["של", "ום", " עו"] };
  const { el } = mount(widget, state({ payload: payload(5, { examples: { top: [example(1, 4), example(2, 3, { text: rtl })], random: [] } }) }));
  const [a, b] = all(el, ".sl-example");
  assert.deepEqual([a.querySelector(".sl-left").textContent, a.querySelector(".sl-right").textContent], ["a", " b c"]);
  assert.deepEqual([b.querySelector(".sl-left").textContent, b.querySelector(".sl-right").textContent], ["ום עו", "של"]);
});

test("a dead latent is a clear empty state", () => { // C55
  const { el } = mount(widget, state({ payload: payload(5, dead) }));
  assert.match(el.querySelector(".sl-empty").textContent, /0 of 1,000 tokens: never active/);
  assert.match(el.querySelector(".sl-stats").textContent, /density0 % no interval/); // D30
  assert.equal(all(el, ".sl-example, .sl-histogram").length, 0);
});

test("a latent with a single value draws one bar", () => { // C55
  const { el } = mount(widget, state({ payload: payload(5, { histogram: { lo: [2], hi: [2], count: [9] } }) }));
  assert.equal(all(el, ".sl-bin").length, 1);
  assert.ok(Number(el.querySelector(".sl-bin").getAttribute("width")) > 0);
});

test("dragging over the histogram asks for exactly that range", async () => {
  const { el, model } = mount(widget, state());
  model.answer = (method) => (method === "interval" ? { total: 9, examples: [example(8, 1.5)] } : null);
  const chart = el.querySelector(".sl-histogram");
  chart.getBoundingClientRect = () => ({ left: 0, width: 320, top: 0, height: 132, right: 320, bottom: 132 });
  const x = (v) => 34 + (v / 4) * (320 - 34 - 8);
  point(chart, "pointerdown", { clientX: x(1.2) });
  point(chart, "pointermove", { clientX: x(2.6) });
  point(chart, "pointerup", { clientX: x(2.6) });
  assert.deepEqual([model.get("brush"), model.get("tab")], [[1, 3], "interval"]);
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["interval", { lo: 1, hi: 3 }]]);
  await settle();
  assert.deepEqual(values(el), ["1.50"]);
  assert.match(el.textContent, /of 9 firings/);
});

test("L20 L27 the list says what it is of; a range is drawn in its own tab alone, and says why it is there", async () => {
  const { el, model } = mount(widget, state());
  model.answer = () => ({ total: 9, examples: [example(8, 1.5)] });
  const tab = (/** @type {string} */ name) => all(el, ".sl-tabs button").find((n) => n.textContent === name).click();
  const said = () => el.querySelector(".sl-main .sl-bar .sl-muted").textContent;
  const thin = all(el, ".sl-check").find((n) => n.textContent === "one per document");
  assert.equal(said(), "strongest first, one of each document");
  thin.querySelector("input").click();
  assert.deepEqual([model.get("one_per_document"), said()], [false, "strongest first"]);
  tab("Interval");
  await settle();
  assert.deepEqual([model.get("brush"), thin.hidden], [[1, 2], true]);
  assert.match(said(), /^of 9 firings; ¼ to ½ of the maximum at first/);
  assert.equal(el.querySelector(".sl-brush").getAttribute("visibility"), "visible");
  tab("Random");
  assert.deepEqual([el.querySelector(".sl-brush").getAttribute("visibility"), model.get("brush")], ["hidden", [1, 2]]);
  tab("Interval");
  assert.equal(el.querySelector(".sl-brush").getAttribute("visibility"), "visible");
});

test("the range can be typed", () => {
  const { el, model } = mount(widget, state({ tab: "interval", brush: [1, 2] }));
  model.answer = () => ({ total: 0, examples: [] });
  const [low, high] = all(el, ".sl-range input");
  assert.deepEqual([low.value, high.value], ["1", "2"]);
  low.value = "0.5";
  low.dispatchEvent(new Event("change"));
  assert.deepEqual(model.get("brush"), [0.5, 2]);
});

test("an answer for a range that is no longer marked is dropped", async () => {
  const { el, model } = mount(widget, state());
  let late = () => {};
  model.answer = (_, { lo }) => {
    const found = { total: 1, examples: [example(lo, lo)] };
    return lo === 1 ? new Promise((resolve) => { late = () => resolve(found); }) : found;
  };
  model.set("brush", [1, 2]);
  model.set("tab", "interval");
  await settle();
  model.set("brush", [3, 4]);
  await settle();
  late();
  await settle();
  assert.deepEqual(values(el), ["3.00"]);
});

test("going from latent to latent", async () => {
  const { el, model } = mount(widget, state());
  press(el.querySelector(".saelab"), "ArrowRight");
  await settle();
  press(el.querySelector(".saelab"), "ArrowLeft");
  all(el, ".sl-head button")[2].click();
  el.querySelector(".sl-link").click();
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["step", { by: 1 }], ["step", { by: -1 }], ["step", { by: "random" }], ["open", { latent: 3 }]]);
});

test("D55 a held arrow key: one request at a time, and the steps meanwhile are the next", async () => {
  const { el, model } = mount(widget, state());
  /** @type {Array<() => void>} */
  const late = [];
  model.answer = () => new Promise((resolve) => late.push(() => resolve(null)));
  for (let i = 0; i < 50; i += 1) press(el.querySelector(".saelab"), "ArrowRight");
  press(el.querySelector(".saelab"), "ArrowLeft");
  const steps = () => model.sent.filter((m) => m.method === "step").map((m) => m.params.by);
  await settle();
  assert.deepEqual(steps(), [1]);
  late[0]();
  await settle();
  assert.deepEqual(steps(), [1, 48]);
  late[1]();
  await settle();
  assert.deepEqual(steps(), [1, 48]);
});

test("a latent out of range, or not in a saved page, is a message that says what there is", () => { // C59
  const { el, model } = mount(widget, state({ available: [5, 6], read_only: true }));
  const box = el.querySelector(".sl-head input");
  const say = (text) => { box.value = text; press(box, "Enter"); return el.querySelector(".sl-alert-text")?.textContent; };
  assert.match(say("9"), /Latent 9 is not in this page; it holds 5, 6/);
  for (const wrong of ["64", "-1", "1.5", "abc", ""]) assert.match(say(wrong), /0 to 63/);
  assert.equal(box.value, "5");
  assert.equal(model.sent.length, 0);
  box.value = "6";
  press(box, "Enter");
  assert.deepEqual(model.sent.map((m) => m.params), [{ latent: 6 }]);
});

test("in a saved page the range filters what the page holds", async () => {
  const { el, model } = mount(widget, state({ available: [5], read_only: true }));
  model.set("brush", [0, 3.5]);
  model.set("tab", "interval");
  await settle();
  assert.deepEqual(values(el), ["3.00", "0.500"]);
  assert.equal(model.sent.length, 0);
});

test("label and note are sent with the latent they were written for", async () => {
  const { el, model } = mount(widget, state());
  const [label] = all(el, ".sl-notes input");
  label.value = "dna";
  label.dispatchEvent(new Event("change"));
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["save", { latent: 5, label: "dna", note: "" }]]);
  model.set("latent", 6);
  model.set("label", "other");
  assert.equal(label.value, "other");
  const source = el.querySelector(".sl-notes p");
  assert.ok(source.hidden);
  model.set("source", "<b>n2g</b>: detection 0.9");
  assert.equal(source.textContent, "<b>n2g</b>: detection 0.9");
  assert.ok(!source.hidden);
});

test("slash goes to the number box; keys typed there do not move", () => {
  const { el, model } = mount(widget, state());
  press(el.querySelector(".saelab"), "/");
  const box = el.querySelector(".sl-head input");
  assert.equal(document.activeElement, box);
  press(box, "ArrowRight");
  assert.equal(model.sent.length, 0);
});

test("clicking an example selects it and unfolds its row", async () => {
  const { el, model } = mount(widget, state());
  model.answer = (method) => (method === "row" ? { text: { ids: [1, 2], text: ["whole ", "row"] }, values: [0, 1] } : null);
  all(el, ".sl-example")[1].click();
  assert.deepEqual([model.get("selected_sequence"), model.get("selected_token")], [2, 5]);
  await settle();
  assert.equal(el.querySelector(".sl-whole").textContent, "whole row");
  all(el, ".sl-example")[1].click();
  assert.equal(el.querySelector(".sl-whole"), null);
});

test("what cannot be had says why", () => {
  const { el } = mount(widget, state({ payload: payload(5, { logits: { reason: "no meaning at hook_z" } }) }));
  assert.match(el.textContent, /no meaning at hook_z/);
  all(el, '[aria-label="Kind of neighbour"] button')[1].click();
  assert.match(el.textContent, /no SAE attached/);
});

test("hostile tokens stay text", () => {
  const text = { ids: HOSTILE.map((_, i) => i), text: HOSTILE };
  const hostile = example(1, 2, { text, values: HOSTILE.map(() => 1), centre: 3 });
  const { el } = mount(widget, state({ label: "</script>", read_only: true, available: [5], payload: payload(5, { examples: { top: [hostile], random: [] } }) }));
  assert.deepEqual(all(el, ".sl-example .sl-tok").map((n) => n.textContent), HOSTILE);
  assert.equal(all(el, "img, script").length, 0);
  assert.equal(el.querySelector(".sl-label").textContent, "</script>");
});

const none = NaN;
const ablated = (more = {}) => ({
  latent: 5, row: 1, selected: 1, text: { ids: [0, 1, 2], text: ["<b>", " fox", "$"], special: [0] }, following: [" fox", "$", null], edited: [1],
  numbers: { activation: bytes([0, 2, 0]), loss: bytes([1, 3, none]), loss_diff: bytes([0, -0.5, none]), kl: bytes([0, 0.25, 0.5]) },
  votes: { up: [[], ["<i>x</i>"], []], down: [[], ["d"], []] }, weights: { up: bytes([none, 0.75, none]), down: bytes([none, -1.5, none]) }, has_direct: false, ...more,
});

test("ablating is asked for on the selected example, else on the strongest", async () => {
  const { el, model } = mount(widget, state());
  const node = el.querySelector(".sl-ablation");
  const go = node.querySelector("button.sl-button");
  assert.match(node.textContent, /the strongest example, row 1/);
  assert.ok(node.querySelector(".sl-effects").hidden, "nothing before it is asked for");
  go.click();
  all(el, ".sl-example")[1].click();
  await settle();
  assert.match(node.textContent, /the selected example, row 2/);
  press(el.querySelector(".saelab"), "a");
  const asked = model.sent.filter((m) => m.method === "ablate").map((m) => m.params);
  assert.deepEqual(asked, [{ row: 1, position: 5 }, { row: 2, position: 5 }]);
  model.set("ablated", { latent: 5, row: 2, running: true });
  assert.match(node.textContent, /running on row 2/);
  assert.ok(go.disabled);
});

test("effects are drawn as text, arrows in them move the place and not the latent", async () => { // C03
  const { el, model } = mount(widget, state({ ablated: ablated() }));
  const node = el.querySelector(".sl-ablation");
  assert.match(node.textContent, /in row 1/);
  assert.ok(node.querySelector(".sl-place").textContent.includes("loss difference−0.5"));
  assert.deepEqual(all(node, ".sl-up .sl-vote .sl-chip").map((v) => v.textContent), ["<i>x</i>"]);
  press(node.querySelector(".sl-strip"), "ArrowRight");
  assert.match(node.querySelector(".sl-place").textContent, /next\(end\)/);
  press(node.querySelector(".sl-strip"), "Escape");
  assert.ok(node.querySelector(".sl-detail").hidden);
  all(node, "[role=tab]")[1].click();
  assert.equal(all(node, "[role=tab]")[1].getAttribute("aria-selected"), "true");
  assert.deepEqual(model.sent.filter((m) => m.method), [], "nothing is asked of Python");
  model.set("ablated", ablated({ row: 3, selected: 0 }));
  assert.match(node.textContent, /in row 3/);
  assert.ok(!node.querySelector(".sl-detail").hidden);
  model.set("ablated", {});
  assert.ok(node.querySelector(".sl-effects").hidden);
});

test("without a model, without an example, and in a saved page", () => {
  const part = (more) => mount(widget, state(more)).el.querySelector(".sl-ablation");
  const bare = part({ cannot_try: "ablating needs the model" });
  assert.match(bare.textContent, /ablating needs the model/);
  assert.ok(bare.querySelector("button.sl-button").hidden);
  const never = part({ payload: payload(5, dead) });
  assert.match(never.textContent, /no example to ablate it in/);
  assert.ok(never.querySelector("button.sl-button").disabled);
  assert.ok(part({ read_only: true, available: [5] }).hidden);
  const saved = part({ read_only: true, available: [5], ablated: ablated() });
  assert.ok(!saved.hidden && saved.querySelector("button.sl-button").hidden);
});

test("every statistic, kind of neighbour and the votes say in words what they are", () => {
  const { el } = mount(widget, state({ payload: payload(5, { decoder_norm: 1 }) }));
  const kinds = all(el, '[aria-label="Kind of neighbour"] button'), votes = all(el, "h3").filter((n) => n.textContent.startsWith("Votes"));
  assert.equal(kinds.length + votes.length, 4);
  for (const n of [...all(el, ".sl-stats dt"), ...kinds, ...votes]) assert.ok(n.title.split(" ").length >= 4, n.textContent);
  assert.match(el.querySelector(".sl-stats").innerHTML, /Mean of the squared activation/);
});
