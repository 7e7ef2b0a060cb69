/** N2GEditor: a pattern graph to read, edit and score. The panels are in the files imported here. */
import { onButton, onKeys, typing } from "./controls.js";
import { button, grow, h, throttle } from "./dom.js";
import { figureMenu, save } from "./figure.js";
import { widget } from "./mount.js";
import { canvas } from "./n2g_graph.js";
import { details, history, legend, scores } from "./n2g_panels.js";
import { examples } from "./n2g_rows.js";
import { tools } from "./n2g_tools.js";

/** Undo, redo, and the ways to save the graph. @param {Ui<N2G>} ui @param {HTMLElement} picture */
function toolbar({ state, ask }, picture) {
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));
  const file = (/** @type {string} */ kind, /** @type {string} */ type) =>
    button(kind.toUpperCase(), `Save the graph as ${kind.toUpperCase()}`, () => ask("export", { kind }, (text) =>
      save(new Blob([text], { type }), `latent-${state.latent ?? "graph"}.${kind}`)));
  const node = h("span", { class: "sl-bar sl-edit-bar" });
  if (!state.read_only) node.append(undo, redo, h("span", { class: "sl-muted sl-small" }, "save"),
    file("json", "application/json"), file("dot", "text/vnd.graphviz"));
  node.append(picture);
  const draw = () => {
    undo.disabled = state.done === 0;
    redo.disabled = state.done >= state.history.length;
  };
  return { node, draw };
}

/**
 * What a key does.
 * @param {Ui<N2G>} ui @param {KeyboardEvent} event @param {ReturnType<typeof canvas>} drawing @param {ReturnType<typeof tools>} editing
 * @returns {(() => void) | undefined}
 */
function keyOf({ state, set, ask }, event, drawing, editing) {
  const within = (/** @type {string} */ places) => /** @type {Element} */ (event.target).closest(places) !== null;
  if (event.key === "Escape" && editing.isOpen()) return editing.leave;
  // Enter makes the edit that is shown, also from the button or the form that it was begun with
  if (event.key === "Enter" && editing.waiting() && within(".sl-tools, .sl-todo, .sl-compose")) return editing.commit;
  if (typing(event)) return undefined;
  const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  if (command && !state.read_only && key === "z" && !event.altKey) return () => ask(event.shiftKey ? "redo" : "undo");
  if (command && !state.read_only && key === "y") return () => ask("redo");
  if (command || event.altKey) return undefined;
  if (event.key === "Escape") return editing.waiting() ? editing.cancel : () => set({ selected: null });
  if (event.key === "Enter" && !onButton(event)) {
    return editing.waiting() ? editing.commit : () => { if (state.selected !== null) drawing.toggle(state.selected); };
  }
  if (event.key.startsWith("Arrow")) return () => drawing.walk(event.key);
  const closer = () => drawing.zoom(1.25);
  const look = /** @type {Record<string, () => void>} */ ({ "+": closer, "=": closer, "-": () => drawing.zoom(0.8), 0: drawing.whole })[event.key];
  return look ?? (state.read_only ? undefined : editing.forKey(event.key));
}

/** @param {Ui<N2G>} ui */
function build(ui) {
  const { state, view, on, soon, signal } = ui;
  const fixed = state.read_only;
  const drawing = canvas(ui), editing = tools(ui), rows = examples(ui, editing.stage);
  const bar = toolbar(ui, figureMenu(ui, () => `latent-${state.latent ?? "graph"}-graph`, drawing.picture));
  const score = scores(ui), about = details(ui, editing), steps = history(ui);
  const title = h("h2");
  onKeys(view, (event) => keyOf(ui, event, drawing, editing));

  const load = throttle(() => {
    rows.box.hidden = fixed || !state.score;
    if (!rows.box.hidden) rows.load();
  }, 60, signal);
  function draw() {
    title.textContent = state.latent === null ? "Patterns" : `Latent ${state.latent}`;
    drawing.draw(state.reason);
    for (const panel of [bar, score, editing, about, steps]) panel.draw();
    load();
  }
  soon(["nodes", "score", "before", "baselines", "history", "done", "final", "reason", "latent", "selected"], draw);
  // a click must answer at once; drawing anew is only needed where the node is folded away
  on(["selected"], drawing.mark);
  view.append(h("div", { class: "sl-bar" }, title, grow(), bar.node), h("div", { class: "sl-columns" },
    h("div", { class: "sl-main" }, drawing.box, legend(), ...(fixed ? [] : [editing.strip, rows.box])),
    h("aside", {}, score.node, about.node, ...(fixed ? [] : [editing.box]), steps.node)));
  rows.box.hidden = true;
  draw();
  drawing.fit();
}

export default widget("n2g", "Pattern graph editor", build);
