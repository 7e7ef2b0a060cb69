/** N2GEditor: a pattern graph to read, edit and score. */
import { alertBox } from "./alert.js";
import { button, clamp, count, h, root, show, svg, throttle, typing } from "./dom.js";
import { requests } from "./rpc.js";
import { chip, shade, tokens } from "./text.js";
import { layout } from "./tree.js";

/**
 * @typedef {import("./tree.js").PatternNode} PatternNode
 * @typedef {{ precision: number | null, recall: number | null, f1: number | null, tp: number, fp: number, fn: number, split?: string, tokens?: number }} Score
 * @typedef {{ text: import("./text.js").TokenText, values: number[], centre: number }} Sample
 * @typedef {{ node: number, facts: [string, number | null][], hits: Sample[], false_alarms: Sample[], high: number }} Details
 * @typedef {{ op: string, text: string, note: string, f1: number | null }} Step
 * @typedef {object} State
 * @property {number | null} latent
 * @property {PatternNode[]} nodes
 * @property {string} reason why there are no nodes
 * @property {number | null} selected
 * @property {Score | null} score
 * @property {Score | null} before the score without any edit
 * @property {Record<string, Score>} baselines
 * @property {string} score_reason why there is no score
 * @property {Step[]} history
 * @property {boolean} can_redo
 * @property {Details | null} details
 * @property {boolean} read_only
 * @property {{ message?: string, traceback?: string }} error
 */

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("n2g", "Pattern graph editor");
  const alert = alertBox(model);
  const canvas = svg("g");
  const graph = svg("svg", { class: "sl-graph", tabindex: "0", role: "tree", "aria-label": "Pattern graph. Arrow keys move between nodes." }, canvas);
  const empty = h("div", { class: "sl-empty", hidden: true });
  const title = h("h2");
  const scores = h("section");
  const detail = h("section");
  const steps = h("section");

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }
  /** @param {string} method @param {Record<string, unknown>} [params] */
  const ask = (method, params) => request(method, params).catch((/** @type {Error} */ e) => alert.say(e.message));
  const remove = button("Delete", "Delete the selected node and what is to its left (Del)", () => {
    const node = model.get("selected");
    if (node !== null) ask("delete", { node });
  });
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));

  // ----------------------------------------------------------------------- graph

  let at = { x: 0, y: 0, k: 1 };
  let plan = layout([]);
  let shape = ""; // size of the graph that the present zoom was made for
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  const move = () => canvas.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);

  /** Show the whole graph; a large one at a size that can be read, its right end first. */
  function fit() {
    const { width, height } = stage();
    const room = { w: width - 36, h: height - 76 };
    const k = clamp(Math.min(room.w / Math.max(plan.width, 1), room.h / Math.max(plan.height, 1)), 0.75, 1.15);
    const tall = plan.height * k > room.h;
    at = { k, x: plan.width * k > room.w ? width - 18 - plan.width * k : (width - plan.width * k) / 2, y: tall ? 36 : (height - plan.height * k) / 2 + 8 };
    move();
  }

  /** @param {number} factor @param {{ x: number, y: number }} [around] */
  function zoom(factor, around = { x: stage().width / 2, y: stage().height / 2 }) {
    const k = clamp(at.k * factor, 0.15, 3);
    at = { k, x: around.x - ((around.x - at.x) * k) / at.k, y: around.y - ((around.y - at.y) * k) / at.k };
    move();
  }

  function drawGraph() {
    const nodes = model.get("nodes");
    plan = layout(nodes);
    const by = new Map(plan.placed.map((p) => [p.node.id, p]));
    const most = Math.max(...nodes.map((n) => n.end?.value ?? 0), 1e-9);
    const edges = plan.placed.filter((p) => by.has(p.node.parent)).map((p) => {
      const q = /** @type {import("./tree.js").Placed} */ (by.get(p.node.parent));
      const [x1, y1, x2, y2] = [p.x + p.width, p.y + p.height / 2, q.x, q.y + q.height / 2];
      const middle = (x1 + x2) / 2;
      return svg("path", { class: "sl-edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
    });
    const wide = clamp((stage().width - 36) / Math.max(plan.width, 1), 0.75, 1.15);
    graph.style.height = `${clamp(Math.round(plan.height * wide) + 90, 150, 480)}px`;
    const boxes = plan.placed.map((p) => nodeBox(p, most));
    canvas.replaceChildren(...edges, ...boxes);
    empty.hidden = nodes.length > 0;
    graph.toggleAttribute("hidden", nodes.length === 0);
    empty.textContent = `No patterns. ${model.get("reason")}`;
    drawSelection();
    if (shape !== `${plan.width} ${plan.height}`) fit();
    shape = `${plan.width} ${plan.height}`;
  }

  /** @param {import("./tree.js").Placed} p @param {number} most */
  function nodeBox({ node, lines, x, y, width, height, depth }, most) {
    const named = node.kind === "tok" || node.kind === "not";
    const group = svg("g", {
      class: `sl-node sl-${node.kind}${depth === 1 ? " sl-first" : ""}${node.end ? " sl-has-end" : ""}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-id": node.id, role: "treeitem", "aria-level": depth,
      "aria-label": `${lines.join(", ")}${node.end ? `, ends a pattern of value ${show(node.end.value)}` : ""}`,
    });
    // an end is shaded by its value; other nodes by how much they matter
    const strength = node.end ? shade(node.end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
    const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
    shadeBox.style.setProperty("--a", strength.toFixed(3));
    group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
    lines.forEach((text, i) => group.append(svg("text", {
      class: named && !text.startsWith("+ ") ? "" : "sl-aside", x: width / 2, y: 18 + i * 19, "text-anchor": "middle", direction: "ltr", "unicode-bidi": "plaintext",
    }, text)));
    if (node.end) {
      const said = show(node.end.value);
      const wide = 7 * said.length + 12;
      group.append(svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
        svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, said));
    }
    if (node.locked) group.append(svg("text", { class: "sl-aside", x: width - 4, y: 10, "text-anchor": "end", "font-size": 9 }, "🔒"));
    return group;
  }

  /** @param {number} id */
  function below(id) {
    const inside = new Set([id]);
    for (const n of model.get("nodes")) if (inside.has(n.parent)) inside.add(n.id); // parents come first
    return inside;
  }

  function drawSelection() {
    const selected = model.get("selected");
    const under = selected === null ? new Set() : below(selected);
    for (const node of canvas.querySelectorAll(".sl-node")) {
      const id = Number(/** @type {SVGElement} */ (node).dataset.id);
      node.setAttribute("aria-selected", String(id === selected));
      node.classList.toggle("sl-below", under.has(id) && id !== selected);
    }
    remove.disabled = selected === null;
    drawDetails();
  }

  /** @type {{ x: number, y: number, moved: boolean } | null} */
  let drag = null;
  graph.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    at = { ...at, x: at.x + dx, y: at.y + dy };
    move();
  }, { signal: abort.signal });
  window.addEventListener("pointerup", (event) => {
    const [was, target] = [drag, /** @type {Element} */ (event.target)];
    drag = null;
    if (!was || was.moved || !graph.contains(target)) return;
    const node = /** @type {SVGElement | null} */ (target.closest(".sl-node"));
    select(node ? Number(node.dataset.id) : null);
  }, { signal: abort.signal });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }, { passive: false });

  /** @param {number | null} id */
  function select(id) {
    if (id === model.get("selected")) return;
    set({ selected: id, details: null });
    if (id !== null && !model.get("read_only")) ask("details", { node: id });
  }

  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey;
    /** @type {(() => void) | undefined} */
    let action;
    if (command && key === "z" && !model.get("read_only")) action = () => ask(event.shiftKey ? "redo" : "undo");
    else if (command && key === "y" && !model.get("read_only")) action = () => ask("redo");
    else if (!command && (event.key === "Delete" || event.key === "Backspace") && !model.get("read_only")) action = () => remove.click();
    else if (!command && event.key === "Escape") action = () => select(null);
    else if (!command && event.key.startsWith("Arrow")) action = () => walk(event.key);
    else if (!command && (event.key === "+" || event.key === "=")) action = () => zoom(1.25);
    else if (!command && event.key === "-") action = () => zoom(0.8);
    else if (!command && event.key === "0") action = fit;
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });

  /** Left: deeper; right: towards the activating token; up and down: nodes of the same column. @param {string} key */
  function walk(key) {
    const nodes = model.get("nodes");
    const here = nodes.find((n) => n.id === model.get("selected"));
    if (!here) return void (nodes.length && select(nodes[0].id));
    const column = plan.placed.find((p) => p.node.id === here.id)?.depth;
    const peers = plan.placed.filter((p) => p.depth === column).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    const next = {
      ArrowLeft: nodes.find((n) => n.parent === here.id)?.id,
      ArrowRight: nodes.find((n) => n.id === here.parent)?.id,
      ArrowUp: peers[peers.indexOf(here.id) - 1],
      ArrowDown: peers[peers.indexOf(here.id) + 1],
    }[key];
    if (next !== undefined) select(next);
  }

  // ---------------------------------------------------------------------- panels

  function drawScores() {
    const [now, was] = [model.get("score"), model.get("before")];
    const n = model.get("history").length;
    undo.disabled = n === 0;
    redo.disabled = !model.get("can_redo");
    title.textContent = model.get("latent") === null ? "Patterns" : `Latent ${model.get("latent")}`;
    scores.replaceChildren(h("h3", {}, now?.split ? `Score on held-out documents (${now.split})` : "Score"));
    if (!now) return scores.append(h("p", { class: "sl-muted sl-small" }, model.get("score_reason")));
    const percent = (/** @type {number | null} */ v) => (v === null ? "–" : `${(100 * v).toFixed(1)} %`);
    const keys = /** @type {const} */ (["precision", "recall", "f1"]);
    const row = (/** @type {string} */ name, /** @type {Score} */ s, /** @type {string} */ kind = "") =>
      h("tr", { class: kind }, h("td", {}, name), ...keys.map((k) => h("td", {}, percent(s[k]))));
    const table = h("table", { class: "sl-scores" },
      h("tr", {}, h("th", {}, ""), h("th", {}, "precision"), h("th", {}, "recall"), h("th", {}, "F1")), row("graph", now, "sl-now"));
    if (was && n) {
      table.append(h("tr", {}, h("td", { class: "sl-muted" }, "change"), ...keys.map((k) => {
        const [a, b] = [was[k], now[k]];
        if (a === null || b === null) return h("td", { class: "sl-delta" }, "–");
        const points = 100 * (b - a);
        return h("td", { class: `sl-delta ${points > 0.05 ? "sl-up" : points < -0.05 ? "sl-down" : "sl-muted"}` }, `${points >= 0.05 ? "+" : points <= -0.05 ? "−" : "±"}${Math.abs(points).toFixed(1)}`);
      })));
    }
    for (const [name, s] of Object.entries(model.get("baselines"))) table.append(row(name, s));
    scores.append(table, h("p", { class: "sl-muted sl-small" },
      `${count(now.tp)} hits, ${count(now.fp)} false alarms, ${count(now.fn)} misses` + (now.tokens ? ` in ${count(now.tokens)} tokens` : "")));
  }

  function drawDetails() {
    const id = model.get("selected");
    const node = model.get("nodes").find((n) => n.id === id);
    detail.replaceChildren();
    if (!node) return detail.append(h("p", { class: "sl-muted sl-small" }, model.get("nodes").length ? "Select a node to see what it matches." : ""));
    const what = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text" }[node.kind];
    detail.append(h("h3", {}, `Node ${node.id}: ${what}`));
    if (node.text.length) detail.append(h("div", { class: "sl-chips" }, ...node.text.slice(0, 60).map(chip), node.text.length > 60 ? `+ ${node.text.length - 60}` : null));
    /** @type {[string, string][]} */
    const rows = [];
    if (node.end) rows.push(["predicted activation", show(node.end.value)]);
    if (node.end?.n) rows.push(["in the fit", `fires on ${count(node.end.n_fire ?? 0)} of ${count(node.end.n)}`]);
    if (node.imp !== null) rows.push(["importance", show(node.imp)]);
    const more = model.get("details");
    const mine = more && more.node === id ? more : null;
    for (const [name, value] of mine?.facts ?? []) rows.push([name, show(value)]);
    detail.append(h("dl", { class: "sl-facts-list" }, ...rows.flatMap(([a, b]) => [h("dt", {}, a), h("dd", {}, b)])));
    if (!mine) return;
    for (const [name, samples] of /** @type {[string, Sample[]][]} */ ([["hits", mine.hits], ["false alarms", mine.false_alarms]])) {
      if (!samples.length) continue;
      detail.append(h("h3", {}, name), h("div", { class: "sl-samples" }, ...samples.map((s) => sampleLine(s, mine.high))));
    }
  }

  /** @param {Sample} s @param {number} high */
  function sampleLine(s, high) {
    const line = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(s.text, s.values, { high }));
    line.querySelector(`[data-start="${s.centre}"]`)?.classList.add("sl-centre");
    return h("div", { class: "sl-sample" }, line);
  }

  function drawHistory() {
    const history = model.get("history");
    steps.replaceChildren();
    if (!history.length) return;
    steps.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, ...history.map((step, i) => {
      const item = h("li", {}, h("span", {}, step.op, " ", step.text ? chip(step.text) : null), h("span", { class: "sl-muted" }, step.f1 === null ? "" : `F1 ${(100 * step.f1).toFixed(1)} %`));
      if (model.get("read_only")) {
        if (step.note) item.append(h("span", { class: "sl-muted sl-small" }, step.note));
      } else {
        const note = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
        note.value = step.note;
        note.addEventListener("change", () => ask("annotate", { step: i, note: note.value }));
        item.append(note);
      }
      return item;
    })));
  }

  // ---------------------------------------------------------------------- wiring

  const editing = h("span", { class: "sl-bar" }, remove, undo, redo);
  editing.style.margin = "0";
  const redraw = throttle(() => { drawGraph(); drawScores(); drawHistory(); }, 0, abort.signal);
  for (const key of /** @type {const} */ (["nodes", "score", "before", "baselines", "history", "can_redo", "reason", "latent"])) model.on(`change:${key}`, redraw);
  model.on("change:selected", drawSelection);
  model.on("change:details", drawDetails);
  const readOnly = () => { editing.hidden = model.get("read_only"); };
  model.on("change:read_only", readOnly);

  view.append(alert.box, h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), editing),
    h("div", { class: "sl-columns" },
      h("div", { class: "sl-stage" }, graph, empty,
        h("span", { class: "sl-hint sl-left" }, "← earlier context"), h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
        h("div", { class: "sl-zoom" }, button("−", "Smaller (-)", () => zoom(0.8)), button("fit", "Show the whole graph (0)", fit), button("+", "Larger (+)", () => zoom(1.25)))),
      h("aside", {}, scores, detail, steps)));
  el.append(view);
  readOnly();
  drawGraph();
  drawScores();
  drawHistory();
  fit();
  // the view may be attached, or made visible, only later
  if (typeof ResizeObserver !== "undefined") {
    let width = 0;
    const watch = new ResizeObserver(() => { if (graph.clientWidth && graph.clientWidth !== width) { width = graph.clientWidth; fit(); } });
    watch.observe(graph);
    abort.signal.addEventListener("abort", () => watch.disconnect());
  }
  return () => abort.abort();
}

export default { render };
