/** TrainingMonitor: the curves of a run while it trains, with buttons to stop it and to go on. */
import { alertBox } from "./alert.js";
import { button, clamp, count, floats, h, root, show, throttle } from "./dom.js";
import { lineChart } from "./linechart.js";
import { requests } from "./rpc.js";

/**
 * @typedef {"empty" | "preparing" | "running" | "stopping" | "stopped" | "ended" | "failed"} Phase
 * @typedef {object} State
 * @property {Phase} phase
 * @property {string} heading
 * @property {string[]} names one per SAE
 * @property {number[]} d_sae
 * @property {(number | null)[]} dead_after
 * @property {(number | null)[]} target wanted L0
 * @property {string[]} columns
 * @property {DataView} points float32, (SAEs, points, columns)
 * @property {number} tokens
 * @property {number} budget
 * @property {number} seconds
 * @property {number | null} rate tokens per second
 * @property {string[]} hints
 * @property {boolean} can_resume
 * @property {boolean} read_only
 * @property {{ message?: string, traceback?: string }} error
 */

const SAID = /** @type {Record<Phase, string>} */ ({
  empty: "no run yet", preparing: "reading activations", running: "training", stopping: "stopping after this step",
  stopped: "stopped", ended: "ended", failed: "failed",
});
const UNHEARD = "Not heard yet. Some front ends deliver clicks only when no cell is running: use the notebook's own stop button (■), it ends the run in the same way and returns the SAE so far.";
const PATIENCE = 4000; // ms until a click counts as not heard

/** Seconds as 1:02:03. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/**
 * The columns of each SAE by name.
 * @param {DataView} points @param {string[]} columns @param {number} n number of SAEs
 * @returns {Record<string, Float32Array>[]}
 */
export function unpack(points, columns, n) {
  const flat = floats(points);
  const length = n ? flat.length / (n * columns.length) : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(columns.map((name, c) =>
    [name, Float32Array.from({ length }, (__, j) => flat[(i * length + j) * columns.length + c])])));
}

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("training-monitor", "Training monitor");
  const alert = alertBox(model);

  // ------------------------------------------------------------------------- head

  const heading = h("h2", {});
  const phase = h("span", { class: "sl-phase", role: "status" });
  const bar = h("div", { class: "sl-progress", role: "progressbar", "aria-label": "Tokens seen", "aria-valuemin": 0 }, h("span", {}));
  const counts = h("span", { class: "sl-muted" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let unheard;
  abort.signal.addEventListener("abort", () => clearTimeout(unheard));

  /** @param {"stop" | "resume"} method */
  const press = (method) => {
    alert.say("");
    clearTimeout(unheard);
    unheard = setTimeout(() => alert.say(UNHEARD), PATIENCE);
    const heard = () => { clearTimeout(unheard); };
    request(method).then(() => { heard(); alert.say(""); }, (error) => { heard(); alert.say(error.message); });
  };
  const stop = button("Stop", "End the run after the step under way; the cell returns the SAE so far", () => press("stop"));
  const resume = button("Resume", "Train the rest, exactly as if the run had not been stopped", () => press("resume"));
  resume.classList.add("sl-primary");

  function drawHead() {
    const [now, seen, budget, rate] = [model.get("phase"), model.get("tokens"), model.get("budget"), model.get("rate")];
    const live = now === "preparing" || now === "running" || now === "stopping";
    heading.textContent = model.get("heading");
    if (phase.textContent !== SAID[now]) phase.textContent = SAID[now]; // not announced again with every update
    phase.dataset.phase = now;
    const share = budget ? clamp(seen / budget, 0, 1) : 0;
    bar.style.setProperty("--w", `${(100 * share).toFixed(2)}%`);
    bar.setAttribute("aria-valuemax", String(budget));
    bar.setAttribute("aria-valuenow", String(seen));
    bar.hidden = now === "empty";
    const parts = [`${count(seen)} of ${count(budget)} tokens (${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %)`];
    if (live && rate) parts.push(`${count(rate)} tokens/s`, `${duration((budget - seen) / rate)} left`);
    if (model.get("seconds")) parts.push(`${duration(model.get("seconds"))} so far`);
    if (!live && seen && model.get("seconds")) {
      parts.splice(1, 1, duration(model.get("seconds")), `${count(seen / model.get("seconds"))} tokens/s`);
    }
    counts.textContent = now === "empty" ? "Give this monitor to sl.train(…, monitor=monitor)." : parts.join(" · ");
    stop.hidden = model.get("read_only") || !live;
    stop.disabled = now === "stopping";
    resume.hidden = model.get("read_only") || !model.get("can_resume");
  }

  // ------------------------------------------------------------------------ hints

  const hints = h("ul", { class: "sl-hints", "aria-label": "Hints", "aria-live": "polite" });
  function drawHints() {
    const said = model.get("hints");
    if (said.length === hints.children.length && said.every((t, i) => hints.children[i].textContent === t)) return;
    hints.replaceChildren(...said.map((text) => h("li", {}, text)));
    hints.hidden = !said.length;
  }

  // ----------------------------------------------------------------------- curves

  const picker = h("select", { class: "sl-input", "aria-label": "SAE to show" });
  const pick = h("label", { class: "sl-field sl-muted" }, "show ", picker);
  const table = h("div", { class: "sl-now" });
  const grid = h("div", { class: "sl-charts", tabindex: "0", role: "group", "aria-label": "Curves; the arrow keys move through the run" });
  /** @type {number | null} */
  let at = null;
  const cross = (/** @type {number | null} */ x) => {
    at = x;
    for (const chart of charts) chart.place(x);
  };
  const charts = Array.from({ length: 4 }, () => lineChart(cross));
  grid.append(...charts.map((c) => c.node));
  let chosen = "all";
  picker.addEventListener("change", () => { chosen = picker.value; drawCurves(); });

  const series = () => unpack(model.get("points"), model.get("columns"), model.get("names").length);

  function drawCurves() {
    const names = model.get("names");
    const options = names.length > 1 ? ["all", ...names.keys()].map(String) : [];
    if (picker.children.length !== options.length) {
      picker.replaceChildren(...options.map((value) => h("option", { value }, value === "all" ? "all SAEs" : names[Number(value)])));
      if (!options.includes(chosen)) chosen = "all";
      picker.value = chosen;
    }
    pick.hidden = names.length < 2;
    const all = series();
    const empty = !all.length || !all[0].tokens.length;
    grid.hidden = table.hidden = empty;
    if (empty) return;
    drawTable(all);
    const one = names.length === 1 ? 0 : chosen === "all" ? null : Number(chosen);
    if (one === null) drawAll(all);
    else drawOne(all[one], one);
    cross(at);
  }

  /** @param {Record<string, Float32Array>} s @param {number} i */
  function drawOne(s, i) {
    const line = (/** @type {string} */ name, /** @type {string} */ column, /** @type {number} */ color, more = {}) => ({ name, y: s[column], color, ...more });
    /** @param {import("./linechart.js").Line[]} lines */
    const over = (lines) => ({ lines, x: lines.map(() => s.tokens) });
    const used = (/** @type {string} */ column) => s[column].some((v) => v > 0);
    charts[0].update({ title: "Loss and its parts", log: true, ...over([line("loss", "loss", 0), line("fvu", "fvu", 1, { dashed: true }),
      ...(used("aux") ? [line("aux", "aux", 2, { minor: true })] : []), ...(used("penalty") ? [line("penalty", "penalty", 3, { minor: true })] : [])]) });
    charts[1].update({ title: "Explained variance", ...over([line("explained variance", "explained_variance", 0, { key: "" })]) });
    charts[2].update({ title: "L0, latents per token", mark: model.get("target")[i] ?? null, ...over([line("L0", "l0", 0, { key: "" })]) });
    const after = model.get("dead_after")[i];
    const title = `Latents out of ${count(model.get("d_sae")[i])}`;
    charts[3].update({ title, zero: true, ...over([line("dead", "dead", 1), line("rare", "rare", 0)]) });
    charts[3].node.title = `dead: silent for ${after ? `${count(after)} tokens` : "dead_after tokens"}; rare: not dead, but fires on fewer than 1 in 100,000 tokens`;
  }

  /** @param {Record<string, Float32Array>[]} all */
  function drawAll(all) {
    const names = model.get("names");
    const x = all.map((s) => s.tokens);
    const over = (/** @type {string} */ column) => ({ x, lines: all.map((s, i) => ({ name: names[i], key: "", y: s[column], color: i % 6, dashed: i >= 6 })) }); // the table is the key
    charts[0].update({ title: "Loss", log: true, ...over("loss") });
    charts[1].update({ title: "Explained variance", ...over("explained_variance") });
    charts[2].update({ title: "L0, latents per token", log: true, ...over("l0") });
    charts[3].update({ title: "Dead latents", zero: true, ...over("dead") });
    charts[3].node.title = "";
  }

  const COLUMNS = /** @type {[string, string][]} */ ([["loss", "loss"], ["fvu", "fvu"], ["aux", "aux"], ["penalty", "penalty"],
    ["explained variance", "explained_variance"], ["L0", "l0"], ["dead", "dead"], ["rare", "rare"]]);

  /** @param {Record<string, Float32Array>[]} all */
  function drawTable(all) {
    const names = model.get("names");
    const newest = (/** @type {Float32Array} */ y) => y.findLast((v) => Number.isFinite(v));
    const cell = (/** @type {Record<string, Float32Array>} */ s, /** @type {string} */ column, /** @type {number} */ i) => {
      const value = newest(s[column]);
      if (value === undefined) return "–";
      if (column !== "dead" && column !== "rare") return show(value);
      return `${count(value)} (${show(Number(((100 * value) / model.get("d_sae")[i]).toFixed(1)))} %)`;
    };
    if (names.length === 1) {
      table.replaceChildren(h("dl", {}, ...COLUMNS.map(([label, column]) => h("div", {}, h("dt", {}, label), h("dd", {}, cell(all[0], column, 0))))));
      return;
    }
    const head = h("tr", {}, h("th", { scope: "col" }, "SAE"), ...COLUMNS.map(([label]) => h("th", { scope: "col" }, label)));
    const rows = all.map((s, i) => h("tr", {},
      h("th", { scope: "row", class: `sl-c${i % 6}${i >= 6 ? " sl-dashed" : ""}` }, h("i", { "aria-hidden": "true" }), names[i]),
      ...COLUMNS.map(([, column]) => h("td", {}, cell(s, column, i)))));
    table.replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)));
  }

  grid.addEventListener("keydown", (event) => {
    const tokens = series()[0]?.tokens ?? new Float32Array(0);
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (event.key === "Escape" && at !== null) cross(null);
    else if (step && tokens.length) {
      const place = at === null ? tokens.length - (step < 0 ? 0 : 1) : tokens.indexOf(at);
      cross(tokens[clamp(place + step, 0, tokens.length - 1)]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // ----------------------------------------------------------------------- wiring

  // the traits of one update come together: one drawing for all of them
  const redraw = throttle(() => { drawHead(); drawHints(); drawCurves(); }, 0, abort.signal);
  const all = /** @type {const} */ (["phase", "heading", "names", "tokens", "budget", "rate", "seconds", "hints", "can_resume", "points", "target", "d_sae", "dead_after"]);
  for (const key of all) model.on(`change:${key}`, redraw);

  view.append(alert.box,
    h("div", { class: "sl-bar sl-head" }, heading, phase, h("span", { class: "sl-grow" }), pick, stop, resume),
    bar, counts, hints, table, grid);
  el.append(view);
  drawHead();
  drawHints();
  drawCurves();
  return () => abort.abort();
}

export default { render };
