/** LatentTable: every latent of an index; only the rows in sight are elements. */
import { alertBox } from "./alert.js";
import { load, topToken } from "./columns.js";
import { button, clamp, column, count, h, root, show, throttle, typing } from "./dom.js";
import { figureMenu } from "./figure.js";
import { requests } from "./rpc.js";
import { arrange, filtered } from "./table_rows.js";

/**
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {{ query?: string, mode?: string, rows?: [number, number, number, number, number][], matches?: number }} Found rows: latent, hits, precision, recall, f1
 * @typedef {object} State
 * @property {number} latent
 * @property {number[]} selected
 * @property {string} query
 * @property {"text" | "regex" | "name"} mode
 * @property {string} sort
 * @property {boolean} descending
 * @property {number[] | null} density
 * @property {boolean} show_dead
 * @property {boolean} only_labelled
 * @property {number} d_sae
 * @property {number} counted
 * @property {Record<string, string>} labels
 * @property {Found} found
 * @property {boolean} read_only
 * @property {DataView} packed
 * @property {string[]} tokens
 * @property {string[] | null} texts
 * @property {{ message?: string, traceback?: string }} error
 */

const ROW = 26, TALL = 8_000_000; // px; a taller element is cut by some browsers
const EXTRA = 6; // rows drawn beyond the edges
const BASE = /** @type {[string, string, string][]} */ ([
  ["latent", "latent", "Number of the latent"],
  ["count", "density", "Share of the counted tokens on which it fires"],
  ["mean", "mean", "Mean activation where it fires"],
  ["max", "max", "Largest activation"],
  ["token", "strongest on", "The token of its largest activation"],
  ["label", "label", "What somebody called it; double-click or F2 to write"],
]);
const SEARCH = /** @type {[string, string, string][]} */ ([
  ["f1", "F1", "Of precision and recall for the text that is searched for"],
  ["precision", "precision", "Share of its firings that are on the text"],
  ["recall", "recall", "Share of the text's places on which it fires"],
  ["hits", "hits", "Positions of the text on which it fires"],
]);
const HERE = /** @type {[string, string, string][]} */ ([["hits", "examples", "Examples of it in this page that have the text"]]);
const NUMBERS = new Set(["latent", "count", "mean", "max", "f1", "precision", "recall", "hits"]);

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("table", "Table of latents");
  const alert = alertBox(model);
  const fail = (/** @type {Error} */ e) => alert.say(e.message);
  const uid = `saelab-row-${(made += 1)}`;

  /** @type {Columns | null} */
  let columns = null;
  /** @type {Uint32Array} places in the columns, in the order shown */
  let order = new Uint32Array(0);
  /** @type {Map<number, number>} latent -> place in `order` */
  let placeOf = new Map();
  /** @type {Map<number, number[]>} latent -> hits, precision, recall, f1 */
  let scores = new Map();
  let anchor = 0; // where a range of rows begins

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }
  const searching = () => scores.size > 0 || !!model.get("found").mode;
  const shownColumns = () => (searching() ? [...BASE.slice(0, 5), ...(model.get("read_only") ? HERE : SEARCH), BASE[5]] : BASE);

  // ------------------------------------------------------------------------- controls

  const box = h("input", { class: "sl-input sl-query", type: "search", "aria-label": "Search", title: "Search; press / to come here" });
  const mode = h("select", { class: "sl-input sl-mode", "aria-label": "What is searched" },
    h("option", { value: "text" }, "fire on the text"), h("option", { value: "regex" }, "fire on the regular expression"),
    h("option", { value: "name" }, "label or strongest token"));
  const dead = check("dead too", "show_dead");
  const named = check("labelled only", "only_labelled");
  const low = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": "Lowest density in percent" });
  const high = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": "Highest density in percent" });
  const status = h("span", { class: "sl-muted sl-small", "aria-live": "polite" });

  /** @param {string} text @param {"show_dead" | "only_labelled"} key */
  function check(text, key) {
    const input = h("input", { type: "checkbox" });
    input.addEventListener("change", () => set({ [key]: input.checked }));
    return { input, node: h("label", { class: "sl-check sl-small" }, input, text) };
  }

  const ask = () => {
    if (box.value === model.get("query") && mode.value === model.get("mode")) return;
    if (box.value && mode.value !== "name" && !model.get("read_only")) status.textContent = "searching…";
    const local = model.get("read_only") && box.value && mode.value !== "name";
    set({ query: box.value, mode: /** @type {State["mode"]} */ (mode.value), ...(local ? { sort: "hits", descending: true } : {}) });
  };
  const askSoon = throttle(ask, 350, abort.signal);
  box.addEventListener("input", askSoon);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
    if (event.key === "ArrowDown" || event.key === "Escape") { body.focus(); event.preventDefault(); }
  });
  mode.addEventListener("change", ask);
  for (const field of [low, high]) {
    field.addEventListener("change", () => {
      const [a, b] = [low.value.trim(), high.value.trim()].map((t) => (t === "" ? NaN : Number(t) / 100));
      const bad = [low, high].some((f) => f.value.trim() !== "" && !Number.isFinite(Number(f.value)));
      if (bad) return alert.say("A density is a number, in percent of the counted tokens.");
      set({ density: Number.isNaN(a) && Number.isNaN(b) ? null : [Number.isNaN(a) ? 0 : a, Number.isNaN(b) ? 1 : b] });
    });
  }

  // ---------------------------------------------------------------------------- grid

  const head = h("div", { class: "sl-row sl-headrow", role: "row" });
  const body = h("div", { class: "sl-grid", role: "grid", tabindex: "0", "aria-label": "Latents. Arrow keys move, Space picks, F2 writes a label." });
  const tall = h("div", { class: "sl-tall", role: "presentation" });
  body.append(head, tall);
  const foot = h("div", { class: "sl-bar sl-foot" });

  /** @type {{ node: HTMLElement, at: number, version: number }[]} rows that are reused while scrolling */
  const pool = [];
  let version = 0;

  const height = () => Math.min(order.length * ROW, TALL);
  const visible = () => Math.max(1, Math.floor((body.clientHeight - ROW) / ROW));
  /** First row in sight, a fraction. Where all rows do not fit in the tallest element, it is scaled. */
  function first() {
    const room = height() - visible() * ROW;
    if (order.length * ROW <= TALL) return body.scrollTop / ROW;
    return room <= 0 ? 0 : (body.scrollTop / room) * (order.length - visible());
  }
  /** @param {number} row */
  function scrollTo(row) {
    const room = height() - visible() * ROW;
    body.scrollTop = order.length * ROW <= TALL ? row * ROW : (row / Math.max(1, order.length - visible())) * room;
  }

  function drawRows() {
    if (!columns) return;
    const from = Math.max(0, Math.floor(first()) - EXTRA);
    const to = Math.min(order.length, Math.floor(first()) + visible() + 1 + EXTRA);
    const size = Math.max(0, to - from);
    while (pool.length < size) {
      const node = h("div", { class: "sl-row", role: "row" });
      tall.append(node);
      pool.push({ node, at: -1, version: -1 });
    }
    const base = order.length * ROW <= TALL ? 0 : body.scrollTop - first() * ROW;
    const used = new Set();
    for (let i = from; i < to; i += 1) {
      const slot = i % pool.length; // a row keeps its element while it is in sight
      const mine = pool[slot];
      used.add(slot);
      if (mine.at !== i || mine.version !== version) fill(mine.node, i);
      mine.node.style.transform = `translateY(${base + i * ROW}px)`;
      mine.node.hidden = false;
      [mine.at, mine.version] = [i, version];
    }
    pool.forEach((p, slot) => { if (!used.has(slot)) { p.node.hidden = true; p.at = -1; } });
    body.setAttribute("aria-rowcount", String(order.length + 1));
    drawMarks();
  }

  /** @param {HTMLElement} node @param {number} i */
  function fill(node, i) {
    if (!columns) return;
    const place = order[i], latent = columns.latent[place];
    const share = columns.count[place] / Math.max(1, model.get("counted"));
    const score = scores.get(latent);
    const label = model.get("labels")[String(latent)] ?? "";
    node.dataset.i = String(i);
    node.setAttribute("aria-rowindex", String(i + 2));
    node.id = `${uid}-${i}`;
    /** @type {Record<string, Node | string | null>} */
    const cells = {
      latent: String(latent), count: columns.count[place] ? `${show(100 * share)} %` : "never", mean: columns.count[place] ? column(columns.mean[place]) : "–",
      max: columns.count[place] ? column(columns.max[place]) : "–", token: topToken(columns, place), label: h("bdi", {}, label),
      hits: score ? count(score[0]) : "", precision: score ? column(score[1]) : "", recall: score ? column(score[2]) : "", f1: score ? column(score[3]) : "",
    };
    node.replaceChildren(...shownColumns().map(([key]) => h("span", { role: "gridcell", class: cellClass(key), title: key === "count" ? `${count(columns?.count[place] ?? 0)} of ${count(model.get("counted"))} tokens` : key === "label" ? label : null }, cells[key])));
  }

  function drawMarks() {
    if (!columns) return;
    const current = model.get("latent"), picked = new Set(model.get("selected"));
    for (const { node, at } of pool) {
      if (at < 0) continue;
      const latent = columns.latent[order[at]];
      node.setAttribute("aria-selected", String(picked.has(latent)));
      node.classList.toggle("sl-current", latent === current);
    }
    const place = placeOf.get(current);
    if (place === undefined) body.removeAttribute("aria-activedescendant");
    else body.setAttribute("aria-activedescendant", `${uid}-${place}`);
    const n = picked.size;
    const alone = n && order.length && n === order.length;
    foot.replaceChildren(
      h("span", { class: "sl-muted sl-small" }, n ? `${count(n)} picked` : model.get("read_only") ? "" : "Space picks a row for Python, F2 writes a label"),
      ...(n ? [button("clear", "Pick none", () => set({ selected: [] }))] : []),
      ...(order.length && !alone && order.length <= 20000 && !model.get("read_only") ? [button(`pick all ${count(order.length)} shown`, "Pick all rows shown", () => set({ selected: [...order].map((p) => columns?.latent[p] ?? 0) }))] : []));
  }

  function drawHead() {
    head.replaceChildren(...shownColumns().map(([key, name, title]) => {
      const mine = model.get("sort") === key;
      const node = h("button", { type: "button", class: "sl-th", title, tabindex: "-1" }, name, mine ? h("span", { class: "sl-arrow", "aria-hidden": "true" }, model.get("descending") ? "▾" : "▴") : null);
      node.addEventListener("click", () => set({ sort: key, descending: mine ? !model.get("descending") : !["latent", "token", "label"].includes(key) }));
      return h("span", { role: "columnheader", class: cellClass(key), "aria-sort": mine ? (model.get("descending") ? "descending" : "ascending") : "none" }, node);
    }));
    view.classList.toggle("sl-searching", searching());
    view.classList.toggle("sl-local", !!model.get("read_only"));
  }

  // -------------------------------------------------------------------- which rows, in which order

  /** Rows anew; the cursor's row stays where it is on the screen when it can. */
  function rearrange() {
    if (!columns) return;
    const query = model.get("query");
    let found = model.get("found");
    if (query && model.get("texts") && model.get("mode") !== "name") found = searchHere(query);
    scores = new Map((found.rows ?? []).map(([latent, ...rest]) => [latent, rest]));
    const share = model.get("density");
    order = arrange(columns, filtered(columns, {
      labels: model.get("labels"), dead: model.get("show_dead"), labelled: model.get("only_labelled"),
      name: model.get("mode") === "name" ? query : "", only: found.mode ? new Set(scores.keys()) : null,
      least: share ? share[0] * model.get("counted") : 0, most: share ? share[1] * model.get("counted") : Infinity,
    }), { key: model.get("sort"), descending: model.get("descending"), labels: model.get("labels"), scores });
    placeOf = new Map();
    order.forEach((p, i) => placeOf.set(columns?.latent[p] ?? 0, i));
    version += 1;
    tall.style.height = `${height()}px`;
    drawHead();
    const matches = found.mode ? (found.matches === undefined ? "" : ` · the text occurs ${count(found.matches)} times`) : "";
    status.textContent = `${count(order.length)} of ${count(columns.n)} latents${matches}${order.length === 0 && found.mode ? (model.get("read_only") ? " · no example has it" : " · none fires on it") : ""}`;
    drawRows();
  }

  /** In a saved page: latents among whose examples the text is. @param {string} query @returns {Found} */
  function searchHere(query) {
    const texts = model.get("texts") ?? [];
    let test = (/** @type {string} */ t) => t.includes(query);
    if (model.get("mode") === "regex") {
      try {
        const pattern = new RegExp(query, "u");
        test = (t) => pattern.test(t);
      } catch (error) {
        alert.say(String(/** @type {Error} */ (error).message));
        return { mode: "regex", rows: [] };
      }
    }
    /** @type {Found["rows"]} */
    const rows = [];
    texts.forEach((all, i) => {
      const lines = all.split("\n\n");
      const hits = lines.filter(test).length;
      if (hits) rows.push([columns?.latent[i] ?? 0, hits, NaN, NaN, NaN]);
    });
    return { mode: model.get("mode"), rows };
  }

  function reveal() {
    const place = placeOf.get(model.get("latent"));
    if (place === undefined) return;
    const top = first();
    if (place < top) scrollTo(place);
    else if (place > top + visible() - 1) scrollTo(place - visible() + 1);
    drawRows();
  }

  // ------------------------------------------------------------------------- pointer and keys

  /** @param {Event} event */
  const rowOf = (event) => /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-tall > .sl-row"));
  /** @param {number} a @param {number} b */
  const between = (a, b) => Array.from(order.subarray(Math.min(a, b), Math.max(a, b) + 1), (p) => columns?.latent[p] ?? 0);
  /** @param {number} latent */
  function toggle(latent) {
    const picked = model.get("selected");
    set({ selected: picked.includes(latent) ? picked.filter((x) => x !== latent) : [...picked, latent] });
  }
  body.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (!row || !columns) return;
    const i = Number(row.dataset.i), latent = columns.latent[order[i]];
    if (event.shiftKey) return set({ latent, selected: [...new Set([...model.get("selected"), ...between(anchor, i)])] });
    anchor = i;
    if (event.ctrlKey || event.metaKey) toggle(latent);
    else set({ latent });
  });
  body.addEventListener("dblclick", (event) => { if (rowOf(event)) rename(); });
  body.addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });

  /** A field in the place of the current row's label. */
  function rename() {
    if (model.get("read_only")) return;
    const latent = model.get("latent"), place = placeOf.get(latent);
    const cell = pool.find((p) => p.at === place)?.node.querySelector(".sl-c-label");
    if (place === undefined || !cell) return;
    const field = h("input", { class: "sl-input", type: "text", maxlength: 200, "aria-label": `Label of latent ${latent}` });
    field.value = model.get("labels")[String(latent)] ?? "";
    let done = false;
    const end = (/** @type {boolean} */ keep) => {
      if (done) return;
      done = true;
      if (keep) request("label", { latent, text: field.value }).catch(fail);
      version += 1;
      drawRows();
      body.focus({ preventScroll: true });
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    cell.replaceChildren(field);
    field.focus();
    field.select();
  }

  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.altKey || !columns || (/** @type {HTMLElement} */ (event.target).tagName === "BUTTON" && event.key !== "/")) return;
    const place = placeOf.get(model.get("latent"));
    const move = (/** @type {number} */ to) => {
      if (!order.length || !columns) return;
      const i = clamp(to, 0, order.length - 1), latent = columns.latent[order[i]];
      if (event.shiftKey) set({ latent, selected: [...new Set([...model.get("selected"), ...between(place ?? i, i)])] });
      else { anchor = i; set({ latent }); }
    };
    const at = place ?? Math.round(first()) - 1;
    const actions = /** @type {Record<string, () => void>} */ ({
      ArrowDown: () => move(at + 1), ArrowUp: () => move(Math.max(at - 1, 0)), PageDown: () => move(at + visible()), PageUp: () => move(at - visible()),
      Home: () => move(0), End: () => move(order.length - 1), " ": () => toggle(model.get("latent")), Enter: () => toggle(model.get("latent")), F2: rename,
      "/": () => { box.focus(); box.select(); },
      Escape: () => (model.get("selected").length ? set({ selected: [] }) : set({ query: "" })),
    });
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });

  // ---------------------------------------------------------------------------------- wiring

  function drawControls() {
    const active = /** @type {Document} */ (view.getRootNode()).activeElement;
    if (active !== box) box.value = model.get("query");
    mode.value = model.get("mode");
    dead.input.checked = model.get("show_dead");
    named.input.checked = model.get("only_labelled");
    const share = model.get("density");
    low.value = share && share[0] > 0 ? show(100 * share[0]) : "";
    high.value = share && share[1] < 1 ? show(100 * share[1]) : "";
    box.placeholder = model.get("texts") ? "text in the examples of this page" : model.get("mode") === "name" ? "part of a label or token" : "text, and which latents fire on it";
    if (model.get("read_only")) [mode.options[0].text, mode.options[1].text] = ["have the text in an example", "match in an example"];
    if (model.get("read_only") && !model.get("texts")) for (const i of [0, 1]) mode.options[i].disabled = true;
  }
  const redraw = throttle(() => { drawControls(); rearrange(); }, 0, abort.signal);
  for (const key of /** @type {const} */ (["query", "mode", "sort", "descending", "density", "show_dead", "only_labelled", "labels", "found"])) model.on(`change:${key}`, redraw);
  model.on("change:latent", reveal);
  model.on("change:selected", drawMarks);

  view.append(alert.box,
    h("div", { class: "sl-bar sl-controls" }, h("span", { class: "sl-search" }, box, mode),
      h("span", { class: "sl-small sl-range" }, "density", low, "to", high, "%"), dead.node, named.node, figureMenu(view, () => "latents", alert.say)),
    body, h("div", { class: "sl-bar sl-foot" }, status, h("span", { class: "sl-grow" }), foot));
  el.append(view);
  const seen = new ResizeObserver(() => drawRows()); // the first time it has a height, too
  seen.observe(body);
  abort.signal.addEventListener("abort", () => seen.disconnect());
  drawControls();
  drawHead();
  status.textContent = "loading…";
  load(model, request).then((c) => { columns = c; rearrange(); reveal(); }).catch(fail);
  return () => abort.abort();
}

const cellClass = (/** @type {string} */ key) => `sl-c-${key}${NUMBERS.has(key) ? " sl-num" : ""}`;
let made = 0;

export default { render };
