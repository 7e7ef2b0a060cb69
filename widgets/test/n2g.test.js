import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../n2g_editor.js")).default;
const { layout, lines } = await import("../tree.js");

const node = (id, parent, text, more = {}) => ({ id, parent, kind: text.length ? "tok" : "any", ids: text.map((_, i) => i), text, lo: 0, hi: 0, imp: 0.5, end: null, locked: false, ...more });
const end = (value) => ({ end: { value, n: 10, n_fire: 9 } });
const nodes = [node(1, 0, [" school"]), node(2, 1, []), node(3, 2, ["high", "<b>prim</b>"], end(3)), node(4, 1, ["art"], end(1)), node(5, 0, ["x"], end(2))];
const score = { split: "valid", tokens: 1000, precision: 0.9, recall: 0.5, f1: 0.643, tp: 9, fp: 1, fn: 9 };
const state = (more = {}) => ({
  latent: 12, nodes, reason: "", selected: null, score, before: score, baselines: { "token lookup": { ...score, f1: 0.4 } }, score_reason: "",
  history: [], can_redo: false, details: null, read_only: false, ...more,
});
const selected = (el) => all(el, '.sl-node[aria-selected="true"]').map((n) => Number(n.dataset.id));
const click = (n) => { point(n, "pointerdown"); point(n, "pointerup"); };

test("layout: the activating token is at the right, context to its left, nothing overlaps", () => {
  const { placed, width } = layout(nodes);
  const by = new Map(placed.map((p) => [p.node.id, p]));
  for (const p of placed) {
    const parent = by.get(p.node.parent);
    if (parent) assert.ok(p.x + p.width < parent.x, `node ${p.node.id} is left of its parent`);
    else assert.ok(Math.abs(p.x + p.width - width) < 1e-9, "first tokens end at the right edge");
    for (const q of placed) {
      if (q === p) continue;
      const apart = p.x + p.width <= q.x || q.x + q.width <= p.x || p.y + p.height <= q.y || q.y + q.height <= p.y;
      assert.ok(apart, `${p.node.id} and ${q.node.id}`);
    }
  }
});

test("layout: many alternatives and an empty graph", () => {
  assert.deepEqual(lines(node(1, 0, ["a", "b", "c", "d", "e", "f"])), ["a", "b", "c", "+ 3 more"]);
  assert.deepEqual(lines(node(1, 0, [], { kind: "gap", lo: 0, hi: 7 })), ["0–7 tokens"]);
  assert.deepEqual(layout([]), { placed: [], width: 0, height: 0 });
  assert.equal(layout(Array.from({ length: 200 }, (_, i) => node(i + 1, 0, [`t${i}`], end(1)))).placed.length, 200);
});

test("nodes and values are drawn as text", () => {
  const { el } = mount(widget, state());
  assert.equal(all(el, ".sl-node").length, 5);
  assert.equal(all(el, ".sl-edge").length, 3);
  assert.deepEqual(all(el, ".sl-end").map((n) => n.textContent).sort(), ["1", "2", "3"]);
  assert.match(el.querySelector('[data-id="3"]').textContent, /<b>prim<\/b>/);
  assert.equal(el.querySelector("b"), null);
  assert.equal(el.querySelector('[data-id="1"] text').textContent, "·school");
});

test("selecting shows details, and marks what hangs on the node", async () => {
  const { el, model } = mount(widget, state());
  click(el.querySelector('[data-id="1"]'));
  assert.deepEqual([model.get("selected"), selected(el)], [1, [1]]);
  assert.deepEqual(all(el, ".sl-below").map((n) => Number(n.dataset.id)).sort(), [2, 3, 4]);
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["details", { node: 1 }]]);
  const sample = { text: { ids: [1, 2], text: ["high", " school"] }, values: [0, 3], centre: 1 };
  model.set("details", { node: 1, facts: [["matches", 10], ["false alarms", 1]], hits: [sample], false_alarms: [], high: 3 });
  await settle();
  assert.match(el.querySelector("aside").textContent, /matches10false alarms1.*high school/s);
  assert.equal(el.querySelector(".sl-centre").textContent, " school");
});

test("keys: delete, undo, redo, move", () => {
  const { el, model } = mount(widget, state({ selected: 4, history: [{ op: "delete", text: "x", note: "", f1: 0.5 }], can_redo: true }));
  const graph = el.querySelector(".sl-graph");
  press(graph, "Delete");
  press(graph, "z", { ctrlKey: true });
  press(graph, "Z", { ctrlKey: true, shiftKey: true });
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["delete", { node: 4 }], ["undo", {}], ["redo", {}]]);
  press(graph, "ArrowRight");
  assert.equal(model.get("selected"), 1);
  press(graph, "Escape");
  assert.equal(model.get("selected"), null);
});

test("the change against before is written with its sign", () => {
  const { el } = mount(widget, state({ score: { ...score, precision: 0.95, recall: 0.42, f1: null }, history: [{ op: "delete", text: "x", note: "", f1: null }] }));
  const cells = all(el, ".sl-scores tr")[2].querySelectorAll("td");
  assert.deepEqual([...cells].map((c) => c.textContent), ["change", "+5.0", "−8.0", "–"]);
});

test("precision that is undefined is not 100 %", () => {
  const { el } = mount(widget, state({ score: { ...score, precision: null } }));
  assert.match(el.querySelector(".sl-now").textContent, /graph–50\.0 %/);
});

test("an empty graph says why; one without an index says so", () => {
  const { el } = mount(widget, state({ nodes: [], reason: "the latent never fires", score: null, score_reason: "Not scored" }));
  assert.match(el.querySelector(".sl-empty").textContent, /never fires/);
  assert.match(el.textContent, /Not scored/);
});

test("a saved page has no editing, but moves and zooms", () => {
  const { el, model } = mount(widget, state({ read_only: true, selected: 4 }));
  assert.equal(el.querySelector('[aria-label^="Delete"]').parentElement.hidden, true);
  press(el.querySelector(".sl-graph"), "Delete");
  click(el.querySelector('[data-id="3"]'));
  assert.deepEqual(model.sent, []);
  assert.equal(model.get("selected"), 3);
  const before = el.querySelector(".sl-graph g").getAttribute("transform");
  all(el, ".sl-zoom button")[2].click();
  assert.notEqual(el.querySelector(".sl-graph g").getAttribute("transform"), before);
});

test("dragging the background moves the graph and selects nothing", () => {
  const { el, model } = mount(widget, state());
  const graph = el.querySelector(".sl-graph");
  const before = graph.firstElementChild.getAttribute("transform");
  point(graph, "pointerdown", { clientX: 10, clientY: 10 });
  window.dispatchEvent(new PointerEvent("pointermove", { clientX: 60, clientY: 30 }));
  point(graph, "pointerup", { clientX: 60, clientY: 30 });
  assert.notEqual(graph.firstElementChild.getAttribute("transform"), before);
  assert.equal(model.get("selected"), null);
});

test("notes on edits are sent", () => {
  const { el, model } = mount(widget, state({ history: [{ op: "delete", text: "x", note: "", f1: 0.5 }] }));
  const note = el.querySelector(".sl-history input");
  note.value = "too general";
  note.dispatchEvent(new Event("change"));
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["annotate", { step: 0, note: "too general" }]]);
});
