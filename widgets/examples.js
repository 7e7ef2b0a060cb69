/** Examples of a latent: the strongest, those of a range, some at random. One can be chosen, and its row unfolded. */
import { check, numberField, tabs } from "./controls.js";
import { button, closest, column, count, grow, h, show } from "./dom.js";
import { fires } from "./stats.js";
import { chip, direction, groupAt, labelOf, paragraph, select, tokens } from "./text.js";
import { tokenTip } from "./tip.js";

/** Which examples are shown. @param {Ui<Dashboard>} ui @param {() => void} draw */
function sources({ state, ask }, draw) {
  /** @type {{ latent: number, range: string, examples: Example[], said: string } | null} */
  let interval = null;
  /** @type {{ latent: number, examples: Example[] } | null} */
  let sample = null;
  let seed = 0;

  /** @returns {Example[]} */
  function shown() {
    const { latent, examples: held } = state.payload;
    if (state.tab === "interval") return interval?.latent === latent ? interval.examples : [];
    return state.tab === "random" && sample?.latent === latent ? sample.examples : held[state.tab];
  }
  function resample() {
    seed += 1;
    ask("random", { seed }, (examples) => { sample = { latent: state.payload.latent, examples }; draw(); });
  }
  /** Those of the range that is marked. */
  function load() {
    const [{ latent, examples: held }, brush] = [state.payload, state.brush];
    const range = brush?.join() ?? "";
    if (!brush || interval?.latent !== latent || interval.range !== range) interval = null;
    draw();
    if (!brush || interval) return;
    const [lo, hi] = brush;
    const done = (/** @type {Example[]} */ examples, /** @type {string} */ said) => {
      if (state.payload.latent !== latent || state.brush?.join() !== range) return; // answered too late
      interval = { latent, range, examples, said };
      draw();
    };
    if (!state.available) return ask("interval", { lo, hi }, (r) => done(r.examples, `of ${count(r.total)} firings`));
    const inside = [...held.top, ...held.random].filter((e) => e.value >= lo && e.value <= hi);
    const once = new Map(inside.map((e) => [`${e.row} ${e.position}`, e]));
    done([...once.values()].sort((a, b) => b.value - a.value), "of the examples in this page");
  }
  const said = () => ({
    top: state.one_per_document ? "strongest first, one of each document" : "strongest first", random: "of all firings",
    interval: interval ? interval.said + (atFirst(state) ? "; ¼ to ½ of the maximum at first: where it fires weakly, its meaning is tested" : "") : "",
  })[state.tab];
  return { shown, resample, load, said, waiting: () => state.tab === "interval" && !interval };
}

/** The range that Interval begins with. @param {Dashboard} state @returns {[number, number]} */
const first = (state) => [(state.payload.stats.max ?? 0) / 4, (state.payload.stats.max ?? 0) / 2];
/** @param {Dashboard} state */
const atFirst = (state) => state.brush?.join() === first(state).join();

/** The ends of the range, to be typed. @param {Ui<Dashboard>} ui */
function rangeFields({ state, set }) {
  const [low, high] = [numberField("Lowest activation", { inputmode: null }), numberField("Highest activation", { inputmode: null })];
  const draw = () => [low, high].forEach((field, i) => { field.value = state.brush ? show(state.brush[i]) : ""; });
  for (const field of [low, high]) field.addEventListener("change", () => {
    const [a, b] = [Number(low.value), Number(high.value)];
    if (low.value.trim() !== "" && high.value.trim() !== "" && a <= b) set({ brush: [a, b], tab: "interval" });
    else draw();
  });
  return { node: h("span", { class: "sl-range" }, low, "to", high), draw };
}

/** The tokens of an example, with the activating one at the same place in every row. @param {Pick<Example, "text" | "values" | "centre" | "value">} e @param {Span} range */
export function exampleLine(e, range) {
  const dir = direction(e.text);
  const line = (/** @type {number} */ from, /** @type {number} */ to) =>
    h("bdi", { class: "sl-line", dir }, ...tokens(e.text, e.values, { ...range, from, to }));
  // a right-to-left row is the mirror image of the others
  const begin = groupAt(e.text, e.centre)?.start ?? Infinity;
  const halves = [line(0, begin), line(begin, Infinity)];
  halves[1].firstElementChild?.classList.add("sl-centre");
  if (dir === "rtl") halves.reverse();
  return [h("span", { class: "sl-act" }, column(e.value)),
    h("span", { class: "sl-side sl-left" }, halves[0]), h("span", { class: "sl-side sl-right" }, halves[1])];
}

/** @param {Example} e @param {number} i @param {Span} range */
function exampleRow(e, i, range) {
  const again = e.count > 1 ? `; this text occurs ${e.count} times` : "";
  return h("div", { class: "sl-example", role: "option", "data-i": i, "aria-selected": "false" }, ...exampleLine(e, range),
    h("span", { class: "sl-where", title: `document ${e.doc}, row ${e.row}, position ${e.position}${again}` },
      again ? h("b", {}, `×${count(e.count)}`) : null, `doc ${e.doc}`));
}

/** Unfold or fold the whole row of an example. @param {Ui<Dashboard>} ui @param {Element | null} node @param {Example} e @param {() => Span} range */
function unfold({ state, ask }, node, e, range) {
  const whole = () => (node?.nextElementSibling?.classList.contains("sl-whole") ? node.nextElementSibling : null);
  if (whole()) return whole()?.remove();
  if (!node || state.read_only) return;
  ask("row", { row: e.row }, (/** @type {{ text: Example["text"], values: number[] }} */ row) => {
    if (node.isConnected && !whole()) node.after(h("div", { class: "sl-whole" }, paragraph(row.text, tokens(row.text, row.values, range()))));
  });
}

/** @param {Ui<Dashboard>} ui @param {ReturnType<typeof import("./scale.js").scale>} ends @param {Node} figure */
export function examples(ui, ends, figure) {
  const { state, set, tip, view } = ui;
  const list = h("div", { class: "sl-examples", role: "listbox", "aria-label": "Examples" });
  const from = sources(ui, draw);
  const range = rangeFields(ui);
  const names = /** @type {[Dashboard["tab"], string][]} */ ([["top", "Top"], ["interval", "Interval"], ["random", "Random"]]);
  const kinds = tabs("Examples", names, (tab) => set(tab === "interval" && !state.brush ? { tab, brush: first(state) } : { tab }));
  const other = button("another sample", "Draw other examples", from.resample);
  const thin = check("one per document", (on) => set({ one_per_document: on }), { title: "Else one long document can fill the list" });
  const spaces = check("spaces", (on) => set({ show_whitespace: on }));
  const said = h("span", { class: "sl-muted sl-small" });
  const bar = h("div", { class: "sl-bar" }, kinds.node, range.node, other, said, grow(), thin.node, spaces.node, ends.node, figure);
  const index = () => from.shown().findIndex((e) => e.row === state.selected_sequence && e.position === state.selected_token);
  const empty = (/** @type {string} */ text) => h("div", { class: "sl-empty" }, text);

  function draw() {
    bar.hidden = !fires(state);
    if (bar.hidden) return list.replaceChildren(empty(`0 of ${count(state.payload.counted)} tokens: never active in this sample.`));
    kinds.mark(state.tab);
    range.node.hidden = state.tab !== "interval";
    range.draw();
    other.hidden = state.tab !== "random" || !!state.available;
    thin.node.hidden = state.tab !== "top" || !!state.available;
    thin.input.checked = state.one_per_document;
    said.textContent = from.said();
    ends.draw();
    list.replaceChildren(...from.shown().map((e, i) => exampleRow(e, i, ends.range())));
    if (!from.shown().length && !from.waiting()) list.append(empty("No example in this range."));
    drawSelection();
  }
  const drawSelection = () => [...list.querySelectorAll(".sl-example")].forEach((node) =>
    select([node], () => Number(/** @type {HTMLElement} */ (node).dataset.i) === index()));
  const white = () => { list.classList.toggle("sl-show-space", (spaces.input.checked = state.show_whitespace)); };
  const choose = (/** @type {number} */ i) => {
    const e = from.shown()[i];
    if (e) set({ selected_sequence: e.row, selected_token: e.position });
  };
  const fold = (/** @type {number} */ i) => {
    if (from.shown()[i]) unfold(ui, list.querySelector(`.sl-example[data-i="${i}"]`), from.shown()[i], ends.range);
  };
  list.addEventListener("click", (event) => {
    const row = closest(event, ".sl-example");
    if (!row) return;
    choose(Number(row.dataset.i));
    fold(Number(row.dataset.i));
    view.focus({ preventScroll: true });
  });
  tokenTip(tip, list, (span, i) => {
    const row = /** @type {HTMLElement | null} */ (span.closest(".sl-example"));
    const e = row && from.shown()[Number(row.dataset.i)];
    return e ? [["token", chip(labelOf(e.text, i))], ["id", String(e.text.ids[i])], ["position", String(e.start + i)], ["activation", show(e.values[i])]] : null;
  });
  /** The example that was clicked, else the strongest. */
  const chosen = () => {
    const at = from.shown()[index()] ?? state.payload.examples.top[0];
    return at ? { row: at.row, position: at.position, chosen: index() >= 0 } : null;
  };
  return {
    node: h("section", {}, bar, list), draw, drawSelection, white, load: from.load, chosen, unfold: () => fold(index()),
    move: (/** @type {number} */ by) => choose(Math.max(0, Math.min(index() + by, from.shown().length - 1))),
  };
}
