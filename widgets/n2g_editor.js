/** N2GEditor: a pattern graph to read, edit and score. */
import { alertBox } from "./alert.js";
import { button, count, h, root, show, throttle, typing } from "./dom.js";
import { figureMenu } from "./figure.js";
import { canvas } from "./n2g_graph.js";
import { examples } from "./n2g_rows.js";
import { changes, percent, tools } from "./n2g_tools.js";
import { requests } from "./rpc.js";

/**
 * @typedef {import("./tree.js").PatternNode} PatternNode
 * @typedef {[number, number] | null} Interval
 * @typedef {{ precision: number | null, recall: number | null, f1: number | null, tp: number, fp: number, fn: number, split?: string, tokens?: number, precision_interval?: Interval, recall_interval?: Interval, f1_interval?: Interval }} Score
 * @typedef {{ op: string, text: string, note: string, delta: Record<"tp" | "fp" | "fn", number> | null, f1: number | null }} Step
 * @typedef {object} State
 * @property {number | null} latent
 * @property {PatternNode[]} nodes
 * @property {string} reason why there are no nodes
 * @property {number | null} selected
 * @property {Score | null} score
 * @property {Score | null} before the score without any edit
 * @property {Record<string, Score>} baselines
 * @property {string} score_reason why there is no score
 * @property {Step[]} history with the edits that were taken back
 * @property {number} done how many of them are in effect
 * @property {(Score & { done: number }) | null} final
 * @property {boolean} read_only
 * @property {{ message?: string, traceback?: string }} error
 */

const WHAT = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text", more: "" };

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("n2g", "Pattern graph editor");
  const alert = alertBox(model);
  const title = h("h2");
  const scores = h("section");
  const detail = h("section", { class: "sl-detail" });
  const steps = h("section");
  const fixed = model.get("read_only");
  const node = () => model.get("nodes").find((n) => n.id === model.get("selected"));
  /** @param {string} method @param {Record<string, unknown>} [params] */
  const ask = (method, params) => request(method, params).catch((/** @type {Error} */ e) => alert.say(e.message));

  /** @param {number | null} id */
  function select(id) {
    if (id === model.get("selected")) return;
    model.set("selected", id);
    model.save_changes();
  }

  const drawing = canvas({ nodes: () => model.get("nodes"), selected: () => model.get("selected"), select, signal: abort.signal });
  const editing = tools({ node, nodes: () => model.get("nodes"), request, fail: alert.say });
  const rows = examples({ selected: () => model.get("selected"), select, stage: editing.stage, request, fail: alert.say });
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));

  /** @param {string} name @param {string} text @param {string} type */
  function download(name, text, type) {
    const link = h("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  const file = (/** @type {string} */ end) => `latent-${model.get("latent") ?? "graph"}.${end}`;
  const save = (/** @type {string} */ kind, /** @type {string} */ type) => button(kind.toUpperCase(), `Save the graph as ${kind.toUpperCase()}`, () =>
    request("export", { kind }).then((text) => download(file(kind), text, type), (/** @type {Error} */ e) => alert.say(e.message)));
  const picture = figureMenu(view, () => `latent-${model.get("latent") ?? "graph"}-graph`, alert.say, drawing.picture);

  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    const target = /** @type {HTMLElement} */ (event.target);
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    /** @type {(() => void) | undefined} */
    let action;
    if (command && !event.altKey && key === "z" && !fixed) action = () => ask(event.shiftKey ? "redo" : "undo");
    else if (command && key === "y" && !fixed) action = () => ask("redo");
    else if (command || event.altKey) return;
    else if (event.key === "Escape") action = editing.waiting() ? editing.cancel : () => select(null);
    else if (event.key === "Enter" && target.tagName !== "BUTTON") action = editing.waiting() ? editing.commit : () => { const id = model.get("selected"); if (id !== null) drawing.toggle(id); };
    else if (event.key.startsWith("Arrow")) action = () => drawing.walk(event.key);
    else if (event.key === "+" || event.key === "=") action = () => drawing.zoom(1.25);
    else if (event.key === "-") action = () => drawing.zoom(0.8);
    else if (event.key === "0") action = drawing.fit;
    else if (!fixed) action = editing.forKey(event.key);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });

  // ---------------------------------------------------------------------- panels

  function drawScores() {
    const [now, was, final] = [model.get("score"), model.get("before"), model.get("final")];
    const done = model.get("done");
    undo.disabled = done === 0;
    redo.disabled = done >= model.get("history").length;
    title.textContent = model.get("latent") === null ? "Patterns" : `Latent ${model.get("latent")}`;
    scores.replaceChildren(h("h3", {}, now?.split ? `Score on the ${now.split} documents` : "Score"));
    if (!now) return scores.append(h("p", { class: "sl-muted sl-small" }, model.get("score_reason")));
    const keys = /** @type {const} */ (["precision", "recall", "f1"]);
    const cell = (/** @type {Score} */ s, /** @type {"precision" | "recall" | "f1"} */ k) => {
      const range = s[`${k}_interval`];
      return h("td", { title: range ? `95 %: ${percent(range[0])} to ${percent(range[1])}` : null }, percent(s[k]));
    };
    const row = (/** @type {string} */ name, /** @type {Score} */ s, /** @type {string} */ kind = "") =>
      h("tr", { class: kind }, h("td", {}, name), ...keys.map((k) => cell(s, k)));
    const table = h("table", { class: "sl-scores" },
      h("tr", {}, h("th", {}, ""), h("th", {}, "precision"), h("th", {}, "recall"), h("th", {}, "F1")), row("graph", now, "sl-now"));
    if (now.f1_interval && now.precision_interval && now.recall_interval) {
      table.append(h("tr", { class: "sl-range" }, h("td", { class: "sl-muted" }, "95 %"), ...keys.map((k) => {
        const [a, b] = /** @type {[number, number]} */ (now[`${k}_interval`]);
        return h("td", { class: "sl-muted" }, `${(100 * a).toFixed(0)}–${(100 * b).toFixed(0)}`);
      })));
    }
    if (was && done) {
      table.append(h("tr", {}, h("td", { class: "sl-muted" }, "change"), ...keys.map((k) => {
        const [a, b] = [was[k], now[k]];
        if (a === null || b === null) return h("td", { class: "sl-delta" }, "–");
        const points = 100 * (b - a);
        return h("td", { class: `sl-delta ${points > 0.05 ? "sl-up" : points < -0.05 ? "sl-down" : "sl-muted"}` }, `${points >= 0.05 ? "+" : points <= -0.05 ? "−" : "±"}${Math.abs(points).toFixed(1)}`);
      })));
    }
    for (const [name, s] of Object.entries(model.get("baselines"))) table.append(row(name, s));
    if (final) table.append(row(final.done === done ? "test" : `test, at edit ${final.done}`, final, "sl-final"));
    scores.append(table, h("p", { class: "sl-muted sl-small" },
      `${count(now.tp)} hits, ${count(now.fp)} false alarms, ${count(now.fn)} misses` + (now.tokens ? ` in ${count(now.tokens)} tokens` : "")));
    if (!fixed) scores.append(button("Test score", "Score on the test documents. Ask once, at the end: who edits until it looks good has made it worthless", () => ask("final_score")));
  }

  function drawDetails() {
    const here = node();
    detail.replaceChildren();
    editing.draw();
    if (!here) return detail.append(h("p", { class: "sl-muted sl-small" }, model.get("nodes").length ? "Select a node to see and change what it matches." : ""));
    detail.append(h("h3", {}, `Node ${here.id}: ${WHAT[here.kind]}`));
    if (here.text.length) detail.append(h("div", { class: "sl-chips" }, ...editing.alternatives(here, fixed), here.text.length > 60 ? `+ ${here.text.length - 60}` : null));
    /** @type {[string, number | null][]} */
    const known = [];
    if (here.end) known.push(["predicted activation", here.end.value]);
    if (here.imp !== null) known.push(["importance", here.imp]);
    const list = h("dl", { class: "sl-facts-list" });
    const fill = (/** @type {[string, number | null][]} */ rows) => list.append(...rows.flatMap(([a, b]) => [h("dt", {}, a), h("dd", {}, show(b))]));
    fill(known);
    detail.append(list);
    if (!fixed && model.get("score")) request("facts", { node: here.id }).then((found) => { if (detail.contains(list)) fill(found); }, (/** @type {Error} */ e) => alert.say(e.message));
  }

  function drawHistory() {
    const [history, done] = [model.get("history"), model.get("done")];
    steps.replaceChildren();
    if (!history.length) return;
    const jump = (/** @type {number} */ i, /** @type {Node | string} */ text) => {
      if (fixed) return h("span", {}, text);
      const made = h("button", { type: "button", class: "sl-link", title: i === done ? "The graph is here" : "Go here", "aria-current": i === done ? "step" : null }, text);
      made.addEventListener("click", () => ask("go_to", { step: i }));
      return made;
    };
    const first = h("li", {}, jump(0, "as it began"));
    const before = model.get("before");
    first.append(h("span", { class: "sl-muted" }, before ? `F1 ${percent(before.f1)}` : ""));
    steps.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, first, ...history.map((step, i) => {
      const item = h("li", { class: i < done ? "" : "sl-undone" }, jump(i + 1, h("bdi", {}, step.text)), h("span", { class: "sl-muted" }, step.f1 === null || step.f1 === undefined ? "" : `F1 ${percent(step.f1)}`));
      if (step.delta) item.append(h("span", { class: "sl-small sl-changes" }, ...changes(step.delta)));
      if (fixed || i >= done) {
        if (step.note) item.append(h("span", { class: "sl-muted sl-small" }, step.note));
        return item;
      }
      const note = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
      note.value = step.note;
      note.addEventListener("change", () => ask("annotate", { step: i, note: note.value }));
      item.append(note);
      return item;
    })));
  }

  // ---------------------------------------------------------------------- wiring

  const scored = () => !fixed && model.get("score") !== null;
  const load = throttle(() => { rows.box.hidden = !scored(); if (scored()) rows.load(); }, 60, abort.signal);
  const redraw = throttle(() => { drawing.draw(model.get("reason")); drawScores(); drawDetails(); drawHistory(); load(); }, 0, abort.signal);
  for (const key of /** @type {const} */ (["nodes", "score", "before", "baselines", "history", "done", "final", "reason", "latent", "selected"])) model.on(`change:${key}`, redraw);
  // a click must answer at once; drawing anew is only needed where the node is folded away
  model.on("change:selected", drawing.mark);

  const bar = h("span", { class: "sl-bar sl-edit-bar" }, undo, redo, h("span", { class: "sl-muted sl-small" }, "save"), save("json", "application/json"), save("dot", "text/vnd.graphviz"), picture);
  if (fixed) bar.replaceChildren(picture);
  view.append(alert.box, h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), bar),
    h("div", { class: "sl-columns" }, h("div", { class: "sl-main" }, drawing.box, ...(fixed ? [] : [editing.strip, rows.box])), h("aside", {}, scores, detail, fixed ? "" : editing.box, steps)));
  el.append(view);
  rows.box.hidden = true;
  drawing.draw(model.get("reason"));
  drawScores();
  drawDetails();
  drawHistory();
  drawing.fit();
  load();
  return () => abort.abort();
}

export default { render };
