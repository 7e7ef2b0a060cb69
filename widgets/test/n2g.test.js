import assert from "node:assert/strict";
import { test } from "node:test";
import { HOSTILE, all, browser, mount, point, press, settle } from "./fake.js";

browser();
const widget = (await import("../n2g_editor.js")).default;
const { fold, layout, lines } = await import("../tree.js");

const node = (id, parent, text, more = {}) => ({ id, parent, kind: text.length ? "tok" : "any", ids: text.map((_, i) => i), text, lo: 0, hi: 0, imp: 0.5, end: null, locked: false, ...more });
const end = (value) => ({ end: { value, n: 10, n_fire: 9, sum: value } });
const nodes = [node(1, 0, [" school"]), node(2, 1, []), node(3, 2, ["high", "<b>prim</b>"], end(3)), node(4, 1, ["art"], end(1)), node(5, 0, ["x"], end(2))];
const score = { split: "valid", on: "9 valid documents, which the patterns were chosen on", tokens: 1000, precision: 0.9, recall: 0.5, f1: 0.643, tp: 9, fp: 1, fn: 9, precision_interval: [0.8, 0.95], recall_interval: [0.3, 0.7], f1_interval: [0.5, 0.75] };
const step = (more = {}) => ({ op: "delete", text: "delete `x`", note: "", delta: { tp: -1, fp: -2, fn: 1 }, f1: 0.5, ...more });
const state = (more = {}) => ({
  latent: 12, nodes, reason: "", selected: null, score, before: score, baselines: { "token lookup": { ...score, f1: 0.4 } }, score_reason: "",
  history: [], done: 0, final: null, read_only: false, ...more,
});
const selected = (el) => all(el, '.sl-node[aria-selected="true"]').map((n) => Number(n.dataset.id));
const click = (n) => { point(n, "pointerdown"); point(n, "pointerup"); };
const tool = (el, text) => all(el, ".sl-actions button").find((b) => b.textContent === text);
const edits = (model) => model.sent.filter((m) => !["facts", "rows"].includes(m.method)).map((m) => [m.method, m.params]);
const sample = { text: { ids: [1, 2, 3], text: ["the", "high", " school"] }, values: [0, 0, 3], centre: 2, value: 3, predicted: 2, node: 3, token_index: 77, row: 1, position: 3, before: null };
const preview = { text: "delete `x`", before: score, after: { ...score, f1: 0.7 }, delta: { tp: 2, fp: -1, fn: -2 }, patterns: { added: ["`a` → `b`"], removed: ["→ `b`"], revalued: [] } };
const answers = (more = {}) => (method, params) => ({
  rows: { total: 1, high: 3, rows: [sample] }, facts: [["matches", 10], ["false alarms", 1]], preview, suggest: [{ token: 9, text: "<b>", tp: 4, fp: 1 }], tokens: [{ token: 8, text: "eight" }],
  compose: { tokens: [{ id: 1, text: "the" }, { id: 2, text: "high" }, { id: 3, text: " school" }], length: 1, whole: true }, verify: { sufficiency: 0.75, low: 0.6, high: 0.86, mean: 2 }, ...more,
})[method] ?? null;
/** A drawn editor whose requests are answered. */
const draw = (more = {}, replies = {}) => {
  const made = mount(widget, state(more));
  made.model.answer = answers(replies);
  return made;
};
const live = async (more, replies) => {
  const made = draw(more, replies);
  await settle();
  return made;
};
const later = () => new Promise((resolve) => setTimeout(resolve, 90));

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

// 20 tokens, each with 24 contexts: 500 nodes; the first weighs most
const large = Array.from({ length: 20 }, (_, i) => [node(1 + 25 * i, 0, [`t${i}`]), ...Array.from({ length: 24 }, (_, j) => node(2 + 25 * i + j, 1 + 25 * i, [`c${j}`], end(20 - i)))]).flat();

test("a graph of 500 nodes is folded: the heaviest are drawn, the rest is a click away", () => {
  const drawn = fold(large);
  assert.ok(drawn.length < 90, `${drawn.length} nodes drawn`);
  const real = drawn.filter((n) => n.kind !== "more");
  assert.deepEqual(real.filter((n) => n.parent === 0).map((n) => n.id), Array.from({ length: 16 }, (_, i) => 1 + 25 * i));
  assert.ok(real.some((n) => n.parent === 1), "the heaviest is open");
  assert.deepEqual(drawn.filter((n) => n.parent === 0 && n.kind === "more").map((n) => n.text[0]), ["+ 4 beside"]);
  const last = 1 + 25 * 15;
  assert.deepEqual(drawn.filter((n) => n.parent === last).map((n) => n.text[0]), ["◂ 24"]);
  assert.equal(fold(large, new Map([[last, true]])).filter((n) => n.parent === last && n.kind !== "more").length, 16);
  assert.equal(fold(large, new Map([[1, false]])).filter((n) => n.parent === 1)[0].text[0], "◂ 24");
  assert.equal(fold(large, new Map(), new Map([[0, Infinity]])).filter((n) => n.parent === 0).length, 20);
  assert.deepEqual(fold(nodes), nodes, "a small graph is drawn whole, in its order");
});

test("folding: by click, by Enter, and a node that Python selects is unfolded", async () => {
  const { el, model } = await live({ nodes: large });
  const count = () => all(el, ".sl-node").length;
  assert.ok(count() < 90);
  click(el.querySelector('[data-id="-1"]')); // "+ 4 beside"
  assert.equal(all(el, '.sl-first:not(.sl-more)').length, 20);
  model.set("selected", 1 + 25 * 19 + 24);
  await settle();
  assert.deepEqual(selected(el), [500]);
  model.set("selected", 1);
  await settle();
  const before = count();
  press(el.querySelector(".sl-graph"), "Enter");
  assert.ok(count() < before);
  assert.equal(el.querySelector('[data-id="1"]').getAttribute("aria-expanded"), "false");
  press(el.querySelector(".sl-graph"), "ArrowLeft");
  assert.equal(el.querySelector('[data-id="1"]').getAttribute("aria-expanded"), "true");
});

test("nodes and values are drawn as text", () => {
  const { el } = draw();
  assert.equal(all(el, ".sl-node").length, 5);
  assert.equal(all(el, ".sl-edge").length, 3);
  assert.deepEqual(all(el, ".sl-end").map((n) => n.textContent).sort(), ["1", "2", "3"]);
  assert.match(el.querySelector('[data-id="3"]').textContent, /<b>prim<\/b>/);
  assert.equal(el.querySelector("b"), null);
  assert.equal(el.querySelector('[data-id="1"] text').textContent, "·school");
});

test("hostile tokens stay text in nodes, rows, lists, previews and notes", async () => {
  const hostile = { ids: HOSTILE.map((_, i) => i), text: HOSTILE };
  const { el } = await live(
    { nodes: [node(1, 0, HOSTILE, end(1))], selected: 1, history: [step({ text: HOSTILE[0], note: HOSTILE[1] })], done: 1, reason: HOSTILE[0] },
    { rows: { total: 1, high: 1, rows: [{ ...sample, text: hostile, values: HOSTILE.map(() => 1), before: { id: 1, text: HOSTILE[0] } }] }, preview: { ...preview, text: HOSTILE[0], patterns: { added: HOSTILE, removed: HOSTILE, revalued: [] } }, suggest: HOSTILE.map((text, token) => ({ token, text, tp: 1, fp: 0 })) },
  );
  await later();
  for (const tab of all(el, ".sl-examples [role=tab]")) { tab.click(); await settle(); }
  tool(el, "Only …").click();
  await settle();
  el.querySelector(".sl-choice input").click();
  await settle();
  assert.equal(el.querySelector(".sl-pending-text bdi").textContent, HOSTILE[0]);
  assert.equal(el.querySelectorAll("img, script").length, 0);
  assert.equal([...el.querySelectorAll("b")].every((b) => b.closest(".sl-pending")), true);
});

test("selecting shows what the node does, marks what hangs on it, and fetches its rows", async () => {
  const { el, model } = await live();
  click(el.querySelector('[data-id="1"]'));
  assert.deepEqual([model.get("selected"), selected(el)], [1, [1]]);
  assert.deepEqual(all(el, ".sl-below").map((n) => Number(n.dataset.id)).sort(), [2, 3, 4]);
  await later();
  assert.match(el.querySelector(".sl-detail").textContent, /matches10false alarms1/);
  all(el, ".sl-examples [role=tab]")[0].click();
  await settle();
  assert.deepEqual(model.sent.filter((m) => m.method === "rows").at(-1).params, { kind: "hit", node: 1, seed: 0 });
  assert.equal(el.querySelector(".sl-row .sl-centre").textContent, " school");
  el.querySelector(".sl-row .sl-line").dispatchEvent(new Event("click"));
  assert.equal(model.get("selected"), 3, "a row leads to the pattern that won it");
});

test("an edit is a preview first; Enter makes it, Esc leaves it", async () => {
  const { el, model } = await live({ selected: 4 });
  const graph = el.querySelector(".sl-graph");
  press(graph, "Delete");
  await settle();
  const strip = el.querySelector(".sl-pending");
  assert.deepEqual(edits(model), [["preview", { op: "delete", args: { node: 4 } }]]);
  assert.match(strip.textContent, /Preview: delete `x`.*hits \+2false alarms −1misses −2.*F1 64\.3 % → 70\.0 %.*− → `b`\+ `a` → `b`/s);
  press(graph, "Escape");
  assert.equal(strip.hidden, true);
  assert.equal(model.get("selected"), 4);
  press(graph, "Enter");
  assert.equal(edits(model).length, 1, "nothing is waiting");
  press(graph, "Backspace");
  await settle();
  strip.querySelector("input").value = "too general";
  press(graph, "Enter");
  assert.deepEqual(edits(model).at(-1), ["apply", { op: "delete", args: { node: 4 }, note: "too general" }]);
  assert.equal(strip.hidden, true);
});

test("L10 Enter makes the edit from the button and from the form it was begun with; Esc closes the form", async () => {
  const { el, model } = await live({ selected: 4 });
  tool(el, "Delete").click();
  await settle();
  press(tool(el, "Delete"), "Enter");
  assert.deepEqual(edits(model).at(-1), ["apply", { op: "delete", args: { node: 4 }, note: "" }]);
  tool(el, "Also …").click();
  await settle();
  const form = el.querySelector(".sl-form");
  assert.match(form.textContent, /4 hits, 1 false alarm$/); // L12
  const tick = form.querySelector(".sl-choice input");
  tick.click();
  await settle();
  press(tick, "Enter");
  assert.deepEqual(edits(model).at(-1), ["apply", { op: "add_alternative", args: { node: 4, ids: [9] }, note: "" }]);
  tool(el, "Also …").click();
  await settle();
  press(form.querySelector("input[type=search]"), "Escape");
  assert.equal(form.childElementCount, 0);
  assert.equal(model.get("selected"), 4);
});

test("L23 colour, number, lines and dashes of the drawing are explained", async () => {
  const { el } = await live();
  for (const word of ["orange", "thick", "red", "dashed", "dotted", "locked"]) assert.match(el.querySelector(".sl-key").textContent, new RegExp(word));
});

test("only an edit whose preview can be read is made", async () => {
  const { el, model } = await live({ selected: 4 });
  const graph = el.querySelector(".sl-graph"), strip = el.querySelector(".sl-pending");
  press(graph, "Delete");
  press(graph, "Enter"); // faster than the preview
  assert.equal(edits(model).length, 1);
  await settle();
  let answer = () => {};
  model.answer = (method) => (method === "preview" ? new Promise((resolve) => { answer = () => resolve({ ...preview, text: "widen `art`" }); }) : answers()(method));
  press(graph, "w");
  await settle();
  const apply = () => strip.querySelector(".sl-primary");
  assert.match(strip.textContent, /delete `x`/, "still the one before");
  assert.equal(strip.getAttribute("aria-busy"), "true");
  assert.equal(apply().disabled, true);
  press(graph, "Enter");
  assert.ok(!edits(model).some(([method]) => method === "apply"));
  answer();
  await settle();
  assert.match(strip.textContent, /widen `art`/);
  assert.equal(strip.getAttribute("aria-busy"), "false");
  assert.equal(apply().disabled, false);
  press(graph, "Enter");
  assert.equal(edits(model).at(-1)[0], "apply");
  assert.equal(edits(model).at(-1)[1].op, edits(model).at(-2)[1].op);
});

test("an edit or a form begun before the tools of a new selection are drawn goes on; one of another node does not", async () => {
  const { el } = await live({ selected: 4 });
  const graph = el.querySelector(".sl-graph"), strip = el.querySelector(".sl-pending");
  click(el.querySelector('[data-id="1"]'));
  press(graph, "w"); // in the same frame
  await settle();
  assert.equal(strip.hidden, false);
  click(el.querySelector('[data-id="3"]'));
  await settle();
  assert.equal(strip.hidden, true);
  click(el.querySelector('[data-id="4"]'));
  press(graph, "v");
  await settle();
  assert.equal(document.activeElement.getAttribute("aria-label"), "Predicted activation");
  click(el.querySelector('[data-id="3"]'));
  await settle();
  assert.equal(el.querySelector(".sl-form input"), null);
});

test("an edit that is refused is told, and the strip is gone", async () => {
  const { el, model } = await live({ selected: 4 });
  model.answer = (method) => { if (method === "preview") throw new Error("node 4 is locked; unlock it first"); return answers()(method); };
  press(el.querySelector(".sl-graph"), "w");
  await settle();
  assert.match(el.querySelector(".sl-alert").textContent, /locked/);
  assert.equal(el.querySelector(".sl-pending").hidden, true);
});

test("every button stages its edit", async () => {
  const { el, model } = await live({ nodes: [...nodes, node(6, 5, [], { kind: "start", end: end(1).end })] });
  const choose = async (id) => { model.set("selected", id); await settle(); };
  const last = () => edits(model).at(-1)[1];
  const input = (selector, value) => { const field = el.querySelector(selector); field.value = value; field.dispatchEvent(new Event("input")); };
  await choose(3);
  for (const [label, op, args] of [["Delete", "delete", { node: 3 }], ["Any token", "wildcard", { node: 3 }], ["Start", "anchor_start", { node: 3, on: true }],
    ["End", "mark", { node: 3, on: false }], ["Split", "split", { node: 3, ids: null }], ["Lock", "lock", { node: 3, on: true }]]) {
    tool(el, label).click();
    assert.deepEqual(last(), { op, args }, label);
  }
  for (const [label, op] of [["Only …", "specialise"], ["Also …", "add_alternative"]]) {
    tool(el, label).click();
    await settle();
    el.querySelector(".sl-choice input").click();
    assert.deepEqual(last(), { op, args: { node: 3, ids: [9] } }, label);
  }
  tool(el, "Not after …").click();
  input(".sl-form input[type=search]", "ei");
  await new Promise((resolve) => setTimeout(resolve, 200));
  el.querySelector(".sl-choice input").click();
  assert.deepEqual(last(), { op: "exclude", args: { node: 3, ids: [8] } });
  tool(el, "Gap …").click();
  input(".sl-form input", "1");
  assert.deepEqual(last(), { op: "gap", args: { node: 3, lo: 1, hi: 4 } });
  tool(el, "Value …").click();
  input(".sl-form input", "2.5");
  assert.deepEqual(last(), { op: "set_value", args: { node: 3, value: 2.5 } });
  all(el, ".sl-form button").find((b) => b.textContent === "Fit").click();
  assert.deepEqual(last(), { op: "refit", args: { node: 3 } });
  all(el, ".sl-alternative")[1].click();
  assert.deepEqual(last(), { op: "remove_alternative", args: { node: 3, ids: [1] } });
  tool(el, "Verify").click();
  await settle();
  assert.match(el.querySelector(".sl-verdict").textContent, /75 % of the prompts \(95 %: 60 to 86\)/);
  await choose(1);
  tool(el, "End").click();
  assert.deepEqual(last(), { op: "mark", args: { node: 1, on: true } });
  assert.equal(tool(el, "Value …"), undefined);
  await choose(5);
  tool(el, "Start").click();
  assert.deepEqual(last(), { op: "anchor_start", args: { node: 5, on: false } }, "it is anchored: anywhere again");
  await choose(2);
  assert.equal(tool(el, "Any token"), undefined);
});

test("from a miss a path, token by token; from a false alarm an exclusion or an exception", async () => {
  const alarm = { ...sample, node: 3, before: { id: 1, text: "the" } };
  const { el, model } = await live({}, { rows: { total: 1, high: 3, rows: [alarm] } });
  await later();
  const last = () => edits(model).at(-1)[1];
  all(el, ".sl-todo button")[0].click();
  await settle();
  assert.deepEqual(last(), { op: "add_path", args: { items: [3], value: null } });
  const place = (i) => all(el, ".sl-steps button")[i];
  place(0).click();
  assert.deepEqual(last().args.items, [1, 2, 3]);
  place(1).click();
  assert.deepEqual(last().args.items, [1, "*", 3]);
  all(el, ".sl-compose > button")[0].click();
  assert.deepEqual(last().args.items, ["^", 1, "*", 3]);
  place(0).click();
  place(0).click(); // any, then left out: the anchor goes with it
  assert.deepEqual(last().args.items, ["*", 3]);
  all(el, ".sl-examples [role=tab]")[1].click();
  await settle();
  all(el, ".sl-todo button")[0].click();
  assert.deepEqual(last(), { op: "exclude", args: { node: 3, ids: [1] } });
  all(el, ".sl-todo button")[1].click();
  await settle();
  assert.deepEqual(last(), { op: "add_path", args: { items: [2, 3], value: 0 } });
});

test("keys: undo, redo, move; typing is left alone", async () => {
  const { el, model } = await live({ selected: 4, history: [step(), step()], done: 1 });
  const graph = el.querySelector(".sl-graph");
  press(graph, "z", { ctrlKey: true });
  press(graph, "Z", { ctrlKey: true, shiftKey: true });
  press(graph, "y", { ctrlKey: true });
  assert.deepEqual(edits(model), [["undo", {}], ["redo", {}], ["redo", {}]]);
  press(el.querySelector(".sl-history input"), "w");
  press(graph, "w", { ctrlKey: true });
  assert.equal(edits(model).length, 3);
  press(graph, "ArrowRight");
  assert.equal(model.get("selected"), 1);
  press(graph, "Escape");
  assert.equal(model.get("selected"), null);
});

test("history: changes, notes, steps that were taken back, and going to one", async () => {
  const { el, model } = await live({ history: [step(), step({ text: "value of `x`: 2", f1: null, note: "later" })], done: 1 });
  const items = all(el, ".sl-history li");
  assert.deepEqual(items.map((i) => i.classList.contains("sl-undone")), [false, false, true]);
  assert.match(items[1].textContent, /delete `x`F1 50\.0 %hits −1 false alarms −2/);
  assert.equal(items[1].querySelector("[aria-current]").textContent, "delete `x`");
  items[2].querySelector("button").click();
  items[0].querySelector("button").click();
  const note = items[1].querySelector("input");
  note.value = "too general";
  note.dispatchEvent(new Event("change"));
  assert.deepEqual(edits(model), [["go_to", { step: 2 }], ["go_to", { step: 0 }], ["annotate", { step: 0, note: "too general" }]]);
});

test("the change against before is written with its sign", () => {
  const { el } = draw({ score: { ...score, precision: 0.95, recall: 0.42, f1: null }, history: [step()], done: 1 });
  const cells = all(el, ".sl-scores tr")[3].querySelectorAll("td");
  assert.deepEqual([...cells].map((c) => c.textContent), ["change", "+5.0", "−8.0", "–"]);
  assert.match(all(el, ".sl-scores tr")[2].textContent, /95 %80–9530–7050–75/);
});

test("precision that is undefined is not 100 %", () => {
  const some = draw({ score: { ...score, precision_interval: null } }).el; // D30
  assert.match(all(some, ".sl-scores tr")[2].textContent, /^95 %30–7050–75$/);
  assert.match(some.textContent, /in 1,000 tokens of 9 valid documents, which the patterns were chosen on/); // D31
  const { el } = draw({ score: { ...score, precision: null } });
  assert.match(el.querySelector(".sl-now").textContent, /graph–50\.0 %/);
});

test("the test score is asked for, and says which graph it was of", async () => {
  const { el, model } = await live();
  assert.equal(el.querySelector(".sl-final"), null);
  all(el, "button").find((b) => b.textContent === "Test score").click();
  assert.deepEqual(edits(model), [["final_score", {}]]);
  model.set("final", { ...score, on: "9 test documents, looked at with 2 other versions of the graph", done: 0 });
  await settle();
  assert.match(el.textContent, /test: 9 test documents, looked at with 2/); // D73
  assert.match(el.querySelector(".sl-final").textContent, /^test90/);
  model.set("history", [step()]);
  model.set("done", 1);
  await settle();
  assert.match(el.querySelector(".sl-final").textContent, /^test, at edit 0/);
});

test("an empty graph says why; one without an index says so, and asks for no rows", async () => {
  const { el, model } = await live({ nodes: [], reason: "the latent never fires", score: null, score_reason: "Not scored" });
  assert.match(el.querySelector(".sl-empty").textContent, /never fires/);
  assert.match(el.textContent, /Not scored/);
  await later();
  assert.deepEqual(model.sent, []);
  assert.equal(el.querySelector(".sl-examples").hidden, true);
});

test("a saved page has no editing, but moves, zooms and folds", async () => {
  const { el, model } = draw({ read_only: true, selected: 4, history: [step({ note: "why" })], done: 1 });
  await later();
  assert.deepEqual(all(el, "button:not([hidden])").map((b) => b.textContent).sort(), ["+", "copy PNG", "fit", "save PNG", "save SVG", "−"].sort());
  assert.match(el.querySelector(".sl-history").textContent, /delete `x`.*why/);
  press(el.querySelector(".sl-graph"), "Delete");
  press(el.querySelector(".sl-graph"), "z", { ctrlKey: true });
  click(el.querySelector('[data-id="3"]'));
  await later();
  assert.deepEqual(model.sent, []);
  assert.equal(model.get("selected"), 3);
  const before = el.querySelector(".sl-graph g").getAttribute("transform");
  all(el, ".sl-zoom button")[2].click();
  assert.notEqual(el.querySelector(".sl-graph g").getAttribute("transform"), before);
});

test("dragging the background moves the graph and selects nothing", () => {
  const { el, model } = draw();
  const graph = el.querySelector(".sl-graph");
  const before = graph.firstElementChild.getAttribute("transform");
  point(graph, "pointerdown", { clientX: 10, clientY: 10 });
  window.dispatchEvent(new PointerEvent("pointermove", { clientX: 60, clientY: 30 }));
  point(graph, "pointerup", { clientX: 60, clientY: 30 });
  assert.notEqual(graph.firstElementChild.getAttribute("transform"), before);
  assert.equal(model.get("selected"), null);
});

test("a graph with many patterns opens at a size that can be read", () => {
  const many = Array.from({ length: 40 }, (_, i) => node(i + 1, 0, [`t${i}`], end(1)));
  const { el } = draw({ nodes: many });
  const scale = Number(/scale\(([\d.]+)\)/.exec(el.querySelector(".sl-graph > g").getAttribute("transform"))?.[1]);
  assert.ok(scale * 13 > 11, `letters of ${13 * scale} px`);
});
