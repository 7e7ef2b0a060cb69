/** The grid of a table: headings, and elements for the rows in sight, which are reused while scrolling. */
import { topToken } from "./columns.js";
import { column, count, h } from "./dom.js";

/** @typedef {import("./table_rows.js").Rows} Rows */

const ROW = 26, TALL = 8_000_000; // px; a taller element is cut by some browsers
const EXTRA = 6; // rows drawn beyond the edges
/** @typedef {[key: string, name: string, meaning: string]} Column */
const BASE = /** @type {Column[]} */ ([
  ["latent", "latent", "Number of the latent"],
  ["count", "density", "Share of the counted tokens on which it fires"],
  ["mean", "mean", "Mean activation where it fires"],
  ["max", "max", "Largest activation"],
  ["token", "strongest on", "The token of its largest activation"],
  ["label", "label", "What somebody called it; double-click or F2 to write"],
]);
const SEARCH = /** @type {Column[]} */ ([
  ["f1", "F1", "Of precision and recall for the text that is searched for"],
  ["precision", "precision", "Share of its firings that are on the text"],
  ["recall", "recall", "Share of the text's places on which it fires"],
  ["hits", "hits", "Positions of the text on which it fires"],
]);
/** The chosen measure. @param {string} name */
const measured = (name) => /** @type {Column} */ (["measure", name, "Kept beside the index; choose another above"]);
const HERE = /** @type {Column[]} */ ([["hits", "examples", "Examples of it in this page that have the text"]]);
const TEXTS = ["token", "label"];

/** Columns shown: with a search, what it found. @param {Table} state @param {Rows} rows */
export const columnsOf = (state, rows) =>
  (rows.scores.size || state.found.mode ? [...BASE.slice(0, 5), ...(state.read_only ? HERE : SEARCH), BASE[5]]
    : state.measure ? [...BASE.slice(0, 4), measured(state.measure), ...BASE.slice(4)] : BASE);

/** @param {string} key */
const cellClass = (key) => `sl-c-${key}${TEXTS.includes(key) ? "" : " sl-num"}`;

/** Headings that sort. @param {Ui<Table>} ui @param {Rows} rows */
export function head({ state, set }, rows) {
  const node = h("div", { class: "sl-row sl-headrow", role: "row" });
  const draw = () => node.replaceChildren(...columnsOf(state, rows).map(([key, name, title]) => {
    const mine = state.sort === key;
    const arrow = mine ? h("span", { class: "sl-arrow", "aria-hidden": "true" }, state.descending ? "▾" : "▴") : null;
    const made = h("button", { type: "button", class: "sl-th", title, tabindex: "-1" }, name, arrow);
    const upward = ["latent", ...TEXTS].includes(key);
    made.addEventListener("click", () => set({ sort: key, descending: mine ? !state.descending : !upward }));
    const order = mine ? (state.descending ? "descending" : "ascending") : "none";
    return h("span", { role: "columnheader", class: cellClass(key), "aria-sort": order }, made);
  }));
  return { node, draw };
}

/** Cells of a row. @param {Table} state @param {Rows} rows @param {number} i */
function cells(state, rows, i) {
  const columns = rows.columns, place = rows.order[i];
  if (!columns) return [];
  const [latent, n] = [columns.latent[place], columns.count[place]];
  const label = state.labels[String(latent)] ?? "", source = state.sources[String(latent)] ?? "";
  const [hits, ...shares] = rows.scores.get(latent) ?? [];
  const [precision, recall, f1] = [0, 1, 2].map((k) => (shares[k] === undefined ? "" : column(shares[k])));
  const value = rows.measured(state)[place];
  const text = /** @type {Record<string, Node | string | null>} */ ({
    latent: String(latent), count: n ? `${column((100 * n) / Math.max(1, state.counted))} %` : "never",
    mean: n ? column(columns.mean[place]) : "–", max: n ? column(columns.max[place]) : "–", token: topToken(columns, place),
    label: label && h("span", {}, h("bdi", {}, label), h("span", { class: "sl-muted sl-small" }, source)), hits: hits === undefined ? "" : count(hits), precision, recall, f1,
    measure: value === undefined || Number.isNaN(value) ? "–" : column(value),
  });
  const title = /** @type {Record<string, string>} */ ({ count: `${count(n)} of ${count(state.counted)} tokens`, label: source ? `${label}\n${source}` : label });
  return columnsOf(state, rows).map(([key]) => h("span", { role: "gridcell", class: cellClass(key), title: title[key] }, text[key]));
}

/** @typedef {ReturnType<typeof grid>} Grid */
let made = 0;

/** @param {Ui<Table>} ui @param {Rows} rows @param {HTMLElement} headings @param {() => void} marked */
export function grid({ state }, rows, headings, marked) {
  const uid = `saelab-row-${(made += 1)}`;
  const tall = h("div", { class: "sl-tall", role: "presentation" });
  const empty = h("div", { class: "sl-empty", hidden: true });
  const node = h("div", {
    class: "sl-grid", role: "grid", tabindex: "0", "aria-label": "Latents. Arrow keys move, Space picks, F2 writes a label.",
  }, headings, tall, empty);
  /** @type {{ node: HTMLElement, at: number, version: number }[]} */
  const pool = [];
  const all = () => rows.order.length;
  const height = () => Math.min(all() * ROW, TALL);
  const visible = () => Math.max(1, Math.floor((node.clientHeight - ROW) / ROW));
  // px per row; where all rows do not fit in the tallest element, fewer than a row has
  const pace = () => (all() * ROW <= TALL ? ROW : Math.max(0, height() - visible() * ROW) / Math.max(1, all() - visible()));
  /** First row in sight, a fraction. */
  const first = () => (pace() ? node.scrollTop / pace() : 0);

  function draw() {
    tall.style.height = `${height()}px`;
    const [top, pixel] = [first(), node.scrollTop];
    const from = Math.max(0, Math.floor(top) - EXTRA), to = Math.min(all(), Math.floor(top) + visible() + 1 + EXTRA);
    while (pool.length < to - from) {
      pool.push({ node: h("div", { class: "sl-row", role: "row" }), at: -1, version: -1 });
      tall.append(pool[pool.length - 1].node);
    }
    for (const row of pool) row.node.hidden = true;
    for (let i = from; i < to; i += 1) {
      const row = pool[i % pool.length]; // a row keeps its element while it is in sight
      if (row.at !== i || row.version !== rows.version) row.node.replaceChildren(...cells(state, rows, i));
      Object.assign(row, { at: i, version: rows.version });
      row.node.dataset.i = String(i);
      row.node.setAttribute("aria-rowindex", String(i + 2));
      row.node.id = `${uid}-${i}`;
      row.node.style.transform = `translateY(${pixel + (i - top) * ROW}px)`;
      row.node.hidden = false;
    }
    node.setAttribute("aria-rowcount", String(all() + 1));
    drawMarks();
  }
  function drawMarks() {
    const picked = new Set(state.selected), place = rows.placeOf.get(state.latent);
    for (const row of pool) {
      if (row.node.hidden) continue;
      row.node.setAttribute("aria-selected", String(picked.has(rows.latentAt(row.at))));
      row.node.classList.toggle("sl-current", row.at === place);
    }
    if (place === undefined) node.removeAttribute("aria-activedescendant");
    else node.setAttribute("aria-activedescendant", `${uid}-${place}`);
    marked();
  }
  /** Say why there is no row. @param {string} text */
  function nothing(text) {
    empty.textContent = text;
    empty.hidden = all() > 0 || !text;
  }
  /** Scroll to the current row, if it is out of sight. */
  function reveal() {
    const place = rows.placeOf.get(state.latent), top = first();
    if (place === undefined) return;
    if (place < top) node.scrollTop = place * pace();
    else if (place > top + visible() - 1) node.scrollTop = (place - visible() + 1) * pace();
    draw();
  }
  /** @param {number} latent @param {string} key */
  const cellOf = (latent, key) => pool.find((row) => !row.node.hidden && row.at === rows.placeOf.get(latent))?.node.querySelector(`.sl-c-${key}`);
  node.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  return { node, draw, drawMarks, nothing, reveal, cellOf, first, visible };
}
