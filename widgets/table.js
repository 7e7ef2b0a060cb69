/** LatentTable: every latent of an index; only the rows in sight are elements. */
import { load } from "./columns.js";
import { alone, onButton, onEnter, onKeys, toggled, typing } from "./controls.js";
import { button, clamp, closest, count, grow, h } from "./dom.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";
import { controls } from "./table_controls.js";
import { grid, head } from "./table_grid.js";
import { Rows } from "./table_rows.js";

const MOST = 20_000; // rows that can be picked at once

/** How many are picked, with buttons to pick none or all. @param {Ui<Table>} ui @param {Rows} rows */
function picks({ state, set }, rows) {
  const node = h("div", { class: "sl-bar sl-foot" });
  function draw() {
    const n = state.selected.length, shown = rows.order.length;
    const hint = state.read_only ? "" : "Space picks a row for Python, F2 writes a label";
    node.replaceChildren(h("span", { class: "sl-muted sl-small" }, n ? `${count(n)} picked` : hint));
    if (n) node.append(button("clear", "Pick none", () => set({ selected: [] })));
    if (!shown || n === shown || shown > MOST || state.read_only) return;
    node.append(button(`pick all ${count(shown)} shown`, "Pick all rows shown", () => set({ selected: rows.latents(0, shown - 1) })));
  }
  return { node, draw };
}

/** A field in the place of a row's label. @param {Ui<Table>} ui @param {Element | null | undefined} cell @param {() => void} after */
function rename({ state, ask }, cell, after) {
  if (state.read_only || !cell) return;
  const latent = state.latent;
  const field = h("input", { class: "sl-input", type: "text", maxlength: 200, "aria-label": `Label of latent ${latent}` });
  field.value = state.labels[String(latent)] ?? "";
  let done = false;
  const end = (/** @type {boolean} */ keep) => {
    if (done) return;
    done = true;
    if (keep) ask("label", { latent, text: field.value });
    after();
  };
  onEnter(field, () => end(true), () => end(false));
  field.addEventListener("blur", () => end(true));
  cell.replaceChildren(field);
  field.focus();
  field.select();
}

/** Rows by pointer and by keys. @param {Ui<Table>} ui @param {Rows} rows @param {import("./table_grid.js").Grid} body @param {HTMLInputElement} search */
function choosing(ui, rows, body, search) {
  const { state, set, view } = ui;
  let anchor = 0; // where a range of rows begins
  const write = () => rename(ui, body.cellOf(state.latent, "label"), () => {
    rows.version += 1;
    body.draw();
    body.node.focus({ preventScroll: true });
  });
  const toggle = (/** @type {number} */ latent) => set({ selected: toggled(state.selected, latent) });
  /** @param {number} i @param {number | null} from other end of a range of rows to be picked */
  const go = (i, from) => {
    if (from === null) anchor = i;
    set({ latent: rows.latentAt(i), ...(from === null ? {} : { selected: [...new Set([...state.selected, ...rows.latents(from, i)])] }) });
  };
  body.node.addEventListener("click", (event) => {
    const row = closest(event, ".sl-tall > .sl-row"), i = Number(row?.dataset.i);
    if (!row) return;
    if (event.shiftKey || !(event.ctrlKey || event.metaKey)) return go(i, event.shiftKey ? anchor : null);
    anchor = i;
    toggle(rows.latentAt(i));
  });
  body.node.addEventListener("dblclick", (event) => { if (closest(event, ".sl-tall > .sl-row")) write(); });
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || !rows.columns || (onButton(event) && event.key !== "/")) return;
    const place = rows.placeOf.get(state.latent);
    const at = place ?? Math.round(body.first()) - 1, last = rows.order.length - 1;
    const to = /** @type {Record<string, number>} */ ({
      ArrowDown: at + 1, ArrowUp: Math.max(at - 1, 0), PageDown: at + body.visible(), PageUp: at - body.visible(), Home: 0, End: last,
    })[event.key];
    if (to !== undefined) return () => { if (last >= 0) go(clamp(to, 0, last), event.shiftKey ? place ?? clamp(to, 0, last) : null); };
    return /** @type {Record<string, () => void>} */ ({
      " ": () => toggle(state.latent), Enter: () => toggle(state.latent), F2: write, "/": () => { search.focus(); search.select(); },
      Escape: () => set(state.selected.length ? { selected: [] } : { query: "" }),
    })[event.key];
  });
}

/** @param {Ui<Table>} ui */
function build(ui) {
  const { state, view, on, soon, request, say, atEnd } = ui;
  const rows = new Rows(), pick = picks(ui, rows), headings = head(ui, rows);
  const status = h("span", { class: "sl-muted sl-small", "aria-live": "polite" });
  const body = grid(ui, rows, headings.node, pick.draw);
  const bar = controls(ui, body.node, status);
  choosing(ui, rows, body, bar.search);

  function draw() {
    bar.draw();
    if (!rows.columns) return;
    const found = rows.arrange(state, say);
    headings.draw();
    view.classList.toggle("sl-searching", rows.scores.size > 0 || !!found.mode);
    view.classList.toggle("sl-measured", !!state.measure);
    view.classList.toggle("sl-local", !!state.read_only);
    const { failed, matches, mode } = found, searched = mode && !failed;
    const times = searched && typeof matches === "number" ? ` · the text occurs ${count(matches)} ${matches === 1 ? "time" : "times"}` : "";
    status.textContent = `${count(rows.order.length)} of ${count(rows.columns.n)} latents${times}`;
    body.draw();
    body.nothing(failed ? `This is not a regular expression: ${failed}` : !searched ? "No latent is as asked for; take a filter away."
      : state.read_only ? "No example in this page has it." : matches === 0 ? "The text does not occur in the index." : "No latent fires on it.");
  }
  soon(["query", "mode", "sort", "descending", "density", "show_dead", "only_labelled", "labels", "found", "measure"], draw);
  on(["latent"], body.reveal);
  on(["selected"], body.drawMarks);
  view.append(h("div", { class: "sl-bar sl-controls" }, ...bar.nodes, figureMenu(ui, () => "latents")), body.node,
    h("div", { class: "sl-bar sl-foot" }, status, grow(), pick.node));
  const seen = new ResizeObserver(() => body.draw()); // the first time it has a height, too
  seen.observe(body.node);
  atEnd(() => seen.disconnect());
  bar.draw();
  headings.draw();
  status.textContent = "loading…";
  load(state, request, state.measures.length).then((columns) => {
    rows.columns = columns;
    draw();
    body.reveal();
  }).catch((/** @type {Error} */ error) => say(error.message));
}

export default widget("table", "Table of latents", build);
