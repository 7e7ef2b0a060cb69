import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, bytes, HOSTILE, mount, point, press, settle } from "./fake.js";

browser();
const { default: widget, duration, unpack } = await import("../training_monitor.js");
const { labels, nearest, range, short, ticks } = await import("../chart.js");

const COLUMNS = ["tokens", "seconds", "loss", "fvu", "aux", "penalty", "explained_variance", "l0", "dead", "rare"];
const line = (i, more = {}) => COLUMNS.map((c) => ({ tokens: 1000 * (i + 1), seconds: i, loss: 1 / (i + 1), fvu: 0.5 / (i + 1), aux: 0.1, penalty: 0, explained_variance: 1 - 0.5 / (i + 1), l0: 32 - i, dead: i, rare: 2 * i, ...more })[c]);
const flat = (...saes) => bytes(saes.flat(2));
const lines = (n, more) => Array.from({ length: n }, (_, i) => line(i, more));

const state = (more = {}) => ({
  phase: "running", heading: "SAE: topk on first", names: ["topk"], d_sae: [64], dead_after: [2000], target: [32], columns: COLUMNS,
  points: flat(lines(5)), tokens: 5000, budget: 20000, seconds: 10, rate: 500, hints: [], can_resume: false, read_only: false, ...more,
});
const named = (el, text) => all(el, "button").find((b) => b.textContent === text);
const paths = (el, chart) => all(all(el, ".sl-chart")[chart], "path.sl-series");

test("numbers are unpacked by SAE, point and column", () => {
  const [a, b] = unpack(flat(lines(2), lines(2, { loss: 7 })), COLUMNS, 2);
  assert.deepEqual([...a.tokens], [1000, 2000]);
  assert.deepEqual([...a.loss], [1, 0.5]);
  assert.deepEqual([...b.loss], [7, 7]);
  assert.deepEqual(unpack(bytes([]), COLUMNS, 0), []);
});

test("the head says how far it is, how fast and how long", () => {
  const { el } = mount(widget, state());
  assert.match(el.textContent, /5,000 of 20,000 tokens \(25 %\) · 500 tokens\/s · 0:30 left · 0:10 so far/);
  const bar = el.querySelector('[role="progressbar"]');
  assert.deepEqual([bar.getAttribute("aria-valuenow"), bar.getAttribute("aria-valuemax"), bar.style.getPropertyValue("--w")], ["5000", "20000", "25.00%"]);
  assert.equal(el.querySelector(".sl-phase").textContent, "training");
});

test("four charts with the newest values in their keys", () => {
  const { el } = mount(widget, state());
  assert.deepEqual(all(el, ".sl-chart h3").map((n) => n.textContent), ["Loss and its parts (log scale)", "Explained variance", "L0, latents per token", "Latents out of 64"]);
  assert.deepEqual([0, 1, 2, 3].map((i) => paths(el, i).length), [3, 1, 1, 2], "no penalty: no line of it");
  const keys = all(el, ".sl-lines-key").map((k) => k.textContent);
  assert.equal(keys[0], "loss 0.2FVU 0.1aux 0.1");
  assert.equal(keys[2], "28wanted 32");
  assert.equal(keys[3], "dead 4rare 8");
  assert.match(all(el, ".sl-lines")[3].getAttribute("aria-label"), /dead 4, rare 8/);
  assert.match(all(el, ".sl-chart")[3].title, /silent for 2,000 tokens; rare: .* 1 in 100,000/);
  assert.deepEqual(all(el, ".sl-now dt").map((n) => n.textContent), ["loss", "FVU", "aux", "penalty", "explained variance", "L0", "dead", "rare"]);
  assert.equal(all(el, ".sl-now dd")[6].textContent, "4 (6.3 %)");
});

test("new points are drawn, once for all traits of an update", async () => {
  const { el, model } = mount(widget, state());
  const before = paths(el, 0)[0].getAttribute("d");
  model.set("points", flat(lines(9)));
  model.set("tokens", 9000);
  model.set("hints", ["dead 40/64 (window 2,000 tokens): lower lr"]);
  await settle();
  assert.notEqual(paths(el, 0)[0]?.getAttribute("d"), before);
  assert.match(el.textContent, /9,000 of 20,000/);
  assert.deepEqual(all(el, ".sl-hints li").map((n) => n.textContent), ["dead 40/64 (window 2,000 tokens): lower lr"]);
});

test("stop is sent; resume appears when it can be", async () => {
  const { el, model } = mount(widget, state());
  assert.equal(named(el, "Resume").hidden, true);
  named(el, "Stop").click();
  assert.deepEqual(model.sent.map((m) => m.method), ["stop"]);
  model.set("phase", "stopping");
  await settle();
  assert.equal(named(el, "Stop").disabled, true);
  model.set("phase", "stopped");
  model.set("can_resume", true);
  await settle();
  assert.deepEqual([named(el, "Stop").hidden, named(el, "Resume").hidden], [true, false]);
  named(el, "Resume").click();
  assert.equal(model.sent[1].method, "resume");
});

test("L09 a click that is not heard is said, and taken back when it is", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { el, model } = mount(widget, state());
  let hear;
  model.answer = () => new Promise((resolve) => { hear = resolve; });
  named(el, "Stop").click();
  await null;
  const alert = el.querySelector(".sl-alert");
  t.mock.timers.tick(1400);
  assert.equal(alert.hidden, true);
  t.mock.timers.tick(200);
  assert.match(alert.textContent, /does not answer.*notebook's own stop button/);
  hear(null);
  for (let i = 0; i < 5; i += 1) await null;
  assert.equal(alert.hidden, true);
});

test("L09 a request that Python has may take its time; one that cannot be sent says so at once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { el, model } = mount(widget, state());
  const alert = el.querySelector(".sl-alert");
  model.answer = () => new Promise(() => {});
  named(el, "Stop").click();
  model.tell({ request: model.sent[0].request, taken: true });
  t.mock.timers.tick(60_000);
  assert.equal(alert.hidden, true);
  model.send = () => { throw new Error("Cannot send"); };
  named(el, "Stop").click();
  for (let i = 0; i < 5; i += 1) await null;
  assert.match(alert.textContent, /Python is not there/);
});

test("a refused click is shown", async () => {
  const { el, model } = mount(widget, state());
  model.answer = () => { throw new Error("there is nothing to stop"); };
  named(el, "Stop").click();
  await settle();
  assert.match(el.querySelector(".sl-alert").textContent, /nothing to stop/);
});

test("the pointer and the arrow keys show earlier values in all charts", () => {
  const { el } = mount(widget, state());
  const [first, second] = all(el, ".sl-lines");
  first.getBoundingClientRect = () => ({ left: 0, width: 400, top: 0, height: 170 });
  point(first, "pointermove", { clientX: 46 + (400 - 54) * 0.4, clientY: 20 });
  assert.equal(all(el, ".sl-lines-key")[1].textContent, "0.75at 2k tokens");
  assert.equal(second.querySelector(".sl-cross").getAttribute("visibility"), "visible");
  point(first, "pointerleave");
  assert.equal(all(el, ".sl-lines-key")[1].textContent, "0.9");
  const grid = el.querySelector(".sl-charts");
  press(grid, "ArrowLeft");
  press(grid, "ArrowLeft");
  assert.equal(all(el, ".sl-lines-key")[2].textContent, "29wanted 32at 4k tokens");
  press(grid, "ArrowRight");
  press(grid, "ArrowRight");
  assert.equal(all(el, ".sl-lines-key")[2].textContent, "28wanted 32at 5k tokens");
  press(grid, "Escape");
  assert.equal(second.querySelector(".sl-cross").getAttribute("visibility"), "hidden");
});

test("several SAEs are drawn beside each other, one of them in full", () => {
  const { el } = mount(widget, state({ names: ["topk", "relu"], d_sae: [64, 32], target: [32, null], dead_after: [1, 2], points: flat(lines(5), lines(5, { penalty: 0.2 })) }));
  assert.deepEqual([0, 1, 2, 3].map((i) => paths(el, i).length), [2, 2, 2, 2]);
  assert.deepEqual(all(el, ".sl-now tbody th").map((n) => n.textContent), ["topk", "relu"]);
  const picker = el.querySelector("select");
  assert.deepEqual(all(picker, "option").map((o) => o.textContent), ["all SAEs", "topk", "relu"]);
  picker.value = "1";
  picker.dispatchEvent(new Event("change"));
  assert.deepEqual([0, 3].map((i) => paths(el, i).length), [4, 2]);
  assert.equal(all(el, ".sl-chart h3")[3].textContent, "Latents out of 32");
});

test("values that are no numbers leave gaps", () => {
  const { el } = mount(widget, state({ points: flat([line(0), line(1, { loss: NaN }), line(2), line(3)]) }));
  assert.equal(paths(el, 0)[0].getAttribute("d").match(/M/g).length, 2);
  const none = mount(widget, state({ points: flat([line(0, { rare: NaN })]) }));
  assert.match(none.el.querySelector(".sl-now").textContent, /rare–/);
});

test("before the first point, and without a run", () => {
  const { el } = mount(widget, state({ points: bytes([]), tokens: 0, rate: null, seconds: 0, phase: "preparing" }));
  assert.equal(el.querySelector(".sl-charts").hidden, true);
  assert.equal(named(el, "Stop").disabled, false);
  const { el: empty } = mount(widget, state({ phase: "empty", names: [], d_sae: [], points: bytes([]), tokens: 0, budget: 0 }));
  assert.match(empty.textContent, /sl\.train\(…, monitor=monitor\)/);
});

test("a saved page has curves and no buttons", () => {
  const { el } = mount(widget, state({ read_only: true, phase: "stopped", can_resume: false, tokens: 5000 }));
  assert.deepEqual(["Stop", "Resume"].map((t) => named(el, t).hidden), [true, true]);
  assert.equal(paths(el, 0).length, 3);
  assert.match(el.textContent, /0:10 · 500 tokens\/s/);
});

test("hostile names stay text", () => {
  const { el } = mount(widget, state({ names: HOSTILE.slice(0, 2), d_sae: [1, 1], target: [null, null], points: flat(lines(2), lines(2)), heading: "<img src=x>", hints: ["<b>x</b>"] }));
  assert.equal(all(el, "img, script, .sl-hints b").length, 0);
});

test("when the view goes, nothing more is drawn", async () => {
  const { el, model, controller } = mount(widget, state());
  controller.abort();
  model.set("tokens", 7000);
  await settle();
  assert.match(el.textContent, /5,000 of/);
  assert.equal(model.listening, 0);
});

test("durations, ticks, short numbers, ranges", () => {
  assert.deepEqual([5, 61, 3723, null, Infinity].map(duration), ["0:05", "1:01", "1:02:03", "–", "–"]);
  assert.deepEqual(ticks(0, 1, 4), [0, 0.5, 1]);
  assert.deepEqual(ticks(-0.1, 0.2, 3), [-0.1, 0, 0.1, 0.2]);
  assert.deepEqual(ticks(2, 2, 4), [2]);
  assert.deepEqual([1500, 2e6, 0.25, -3].map((v) => short(v)), ["1.5k", "2M", "0.25", "−3"]);
  assert.deepEqual(labels([0, 500, 1000]), ["0", "500", "1k"]);
  assert.deepEqual(labels([31.998, 32, 32.002]), ["31.998", "32", "32.002"], "a curve that hardly moves");
  assert.deepEqual(labels([1200500, 1201000]), ["1.2005M", "1.201M"]);
  assert.equal(nearest([1, 5, 9], 6.9), 1);
  const chart = (y, more = {}) => ({ title: "", x: [y.map((_, i) => i)], lines: [{ name: "", y, color: 0 }], ...more });
  const long = [-50, ...Array.from({ length: 50 }, (_, i) => i / 50)];
  assert.ok(range(chart(long), (v) => v)[0] > -1, "the beginning does not decide the range");
  assert.deepEqual(range(chart([0, 0], { zero: true }), (v) => v), [0, 1]);
  const [least, most] = range(chart([32, 31.999, 32]), (v) => v);
  assert.ok(most - least > 0.32 && most - least < 0.4, "a thousandth of a latent does not fill the chart");
  const minor = { name: "", y: [1e-6, 1e-6], color: 1, minor: true };
  const log = (v) => Math.log10(v);
  const [bottom] = range({ title: "", x: [[1, 2], [1, 2]], lines: [{ name: "", y: [1, 0.1], color: 0 }, minor] }, log);
  assert.ok(bottom > -2.3 && bottom < -1.9, "a small part stretches the axis by a decade");
  assert.equal(range(chart([NaN]), (v) => v), null);
});

test("L04 what is out of the axis is cut off, not laid upon it", () => {
  const { el } = mount(widget, state({ points: flat(Array.from({ length: 60 }, (_, i) => line(i, { explained_variance: i < 2 ? -9 : 0.9 + i / 1000 }))) }));
  const [path] = paths(el, 1);
  const heights = path.getAttribute("d").split(/[ML]/).slice(1).map((p) => Number(p.split(" ")[1]));
  assert.ok(heights[0] > 400, "the first points lie far below the axis");
  const clip = path.parentElement.getAttribute("clip-path").slice(5, -1);
  const box = el.querySelector(`[id="${clip}"] rect`);
  assert.deepEqual(["x", "width", "height"].map((k) => box.getAttribute(k)), ["46", "346", "140"]);
});

test("L22 axes are named, and the columns say what they are", () => {
  const { el } = mount(widget, state());
  assert.deepEqual(all(el, ".sl-lines .sl-title").map((n) => n.textContent), ["tokens seen", "tokens seen", "tokens seen", "tokens seen"]);
  assert.ok(all(el, ".sl-now dl > div").every((n) => n.title.length > 20));
  assert.ok(el.querySelector(".sl-figure"));
});
