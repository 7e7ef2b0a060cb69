import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, HOSTILE, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../map.js")).default;
const { unpack } = await import("../columns.js");
const { nearest, palette, toScreen, within } = await import("../map_points.js");

const XY = [-1, 0, 0, 0, 0.5, 0.5, 1, -1, NaN, NaN];
function body() {
  const rows = [[0, 5, 1, 1, 1], [1, 10, 1, 2, 1], [2, 100, 1, 3, 2], [3, 0, 0, 0, 0], [4, 7, 1, 1, 1]];
  const view = new DataView(new ArrayBuffer(4 * 7 * 5));
  rows.forEach((row, i) => row.forEach((v, c) => (c === 2 || c === 3 ? view.setFloat32(4 * (c * 5 + i), v, true) : view.setUint32(4 * (c * 5 + i), v, true))));
  XY.forEach((v, i) => view.setFloat32(4 * (25 + i), v, true));
  return view;
}
const TOKENS = ["", " a", HOSTILE[0]];
const columns = unpack(body(), TOKENS, 2);
const camera = { x: 0, y: 0, zoom: 1, width: 600, height: 430 };
const state = (more = {}) => ({
  latent: 1, selected: [], colour: "density", show_dead: false, d_sae: 5, counted: 1000, labels: {}, sources: {}, groups: {}, about: "PCA", read_only: false, packed: undefined, tokens: [], ...more,
});
async function map(more) {
  const made = mount(widget, state(more));
  made.model.answer = () => ({ tokens: TOKENS, buffers: [body()] });
  const canvas = made.el.querySelector("canvas");
  canvas.getBoundingClientRect = () => ({ left: 0, top: 0, width: 600, height: 430, right: 600, bottom: 430 });
  await settle();
  return { ...made, canvas };
}
const at = (place, more = {}) => { const [x, y] = toScreen(camera, XY[2 * place], XY[2 * place + 1]); return { clientX: x, clientY: y, ...more }; };

test("colours: a ramp of log density, groups by size, the dead and the placeless hidden", () => {
  const ramp = palette(columns, { kind: "density", groups: {}, dead: false, counted: 1000 });
  assert.deepEqual([...ramp.bucket], [1, 3, 10, 255, 255]);
  assert.deepEqual(ramp.legend.map(([t]) => t), ["0.5 %", "2.2 %", "10 %"]);
  assert.deepEqual([...palette(columns, { kind: "density", groups: {}, dead: true, counted: 1000 }).bucket], [1, 3, 10, 0, 255]);
  const named = palette(columns, { kind: "label", groups: { 0: "x", 1: "y", 2: "y", 3: "x", 4: "z" }, dead: false, counted: 1000 });
  assert.deepEqual([...named.bucket], [2, 1, 1, 255, 255]);
  assert.deepEqual(named.legend, [["y (2)", 1], ["x (1)", 2]]);
  const many = palette(columns, { kind: "label", groups: Object.fromEntries([0, 1, 2].map((i) => [i, `g${i}`])), dead: false, counted: 1 });
  assert.deepEqual(many.legend.length, 3);
});

test("what is near and what is inside", () => {
  const { bucket } = palette(columns, { kind: "density", groups: {}, dead: false, counted: 1000 });
  const [x, y] = toScreen(camera, 0.5, 0.5);
  assert.equal(nearest(columns, bucket, camera, [x + 3, y], 9), 2);
  assert.equal(nearest(columns, bucket, camera, [x + 30, y], 9), -1);
  assert.deepEqual(within(columns, bucket, camera, [[0, 0], [320, 0], [320, 430], [0, 430]]), [0, 1]);
  assert.deepEqual(within(columns, bucket, camera, [[0, 0], [600, 0], [600, 430], [0, 430]]), [0, 1, 2], "hidden points are not caught");
});

test("a lasso gives its latents to Python, with shift to those there are", async () => {
  const { model, canvas } = await map();
  const drag = (points, more = {}) => {
    point(canvas, "pointerdown", { clientX: points[0][0], clientY: points[0][1], ...more });
    for (const [clientX, clientY] of points.slice(1)) point(canvas, "pointermove", { clientX, clientY, ...more });
    point(canvas, "pointerup", { clientX: points.at(-1)[0], clientY: points.at(-1)[1], ...more });
  };
  drag([[10, 10], [310, 10], [310, 420], [10, 420]]);
  assert.deepEqual(model.get("selected"), [0, 1]);
  const [x, y] = toScreen(camera, 0.5, 0.5);
  drag([[x - 9, y - 9], [x + 9, y - 9], [x + 9, y + 9], [x - 9, y + 9]], { shiftKey: true });
  assert.deepEqual(model.get("selected"), [0, 1, 2]);
  press(canvas, "Escape");
  assert.deepEqual(model.get("selected"), []);
});

test("a click opens a latent, keys walk to the next one", async () => {
  const { el, model, canvas } = await map();
  point(canvas, "pointerdown", at(0));
  point(canvas, "pointerup", at(0));
  assert.equal(model.get("latent"), 0);
  const stage = el.querySelector(".sl-stage");
  press(stage, "ArrowRight");
  assert.equal(model.get("latent"), 1);
  press(stage, "ArrowUp");
  assert.equal(model.get("latent"), 2);
  press(stage, "ArrowUp");
  assert.equal(model.get("latent"), 2, "nothing lies above");
  press(stage, "Enter");
  assert.deepEqual(model.get("selected"), [2]);
  assert.equal(el.querySelector(".sl-status").textContent.includes("latent 2"), true);
});

test("the tip and the line below tell what a point is, in text", async () => { // C03
  const { el, model, canvas } = await map({ labels: { 2: "<b>l</b>" }, sources: { 2: "<u>me</u>" }, groups: { 2: "<i>g</i>" }, colour: "label" });
  point(canvas, "pointermove", at(2));
  const tip = el.querySelector(".sl-tip");
  assert.ok(tip.classList.contains("sl-open"));
  assert.match(tip.textContent, /latent2strongest on<img src=x onerror=alert\(1\)>density10 %label<b>l<\/b>written by<u>me<\/u>group<i>g<\/i>/);
  model.set("latent", 2);
  assert.match(el.querySelector(".sl-status").textContent, /<img/);
  assert.match(el.querySelector(".sl-legend").textContent, /<i>g<\/i> \(1\)/);
  assert.equal(el.querySelector("img, i, u, script"), null);
});

test("a latent is found by number or label", async () => {
  const { el, model } = await map({ labels: { 0: "DNA letters" } });
  const box = el.querySelector(".sl-find");
  box.value = "dna";
  press(box, "Enter");
  assert.equal(model.get("latent"), 0);
  box.value = "2";
  press(box, "Enter");
  assert.equal(model.get("latent"), 2);
  box.value = "77";
  press(box, "Enter");
  assert.match(el.querySelector(".sl-alert").textContent, /No latent has the number, label or group 77/);
  assert.equal(model.get("latent"), 2);
  assert.equal(all(el, ".sl-legend .sl-key").length, 3);
});

test("a saved map draws what it holds and asks nothing", async () => {
  const { el, model } = await map({ read_only: true, packed: body(), tokens: TOKENS });
  assert.deepEqual(model.sent, []);
  assert.match(el.querySelector(".sl-status").textContent, /latent 1/);
});
