/** TrainingMonitor: the curves of a run while it trains, with buttons to stop it and to go on. */
import { lastOf, lineChart, series } from "./chart.js";
import { onKeys, tableRow } from "./controls.js";
import { button, clamp, count, floats, grow, h, show } from "./dom.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";

const SAID = /** @type {Record<Phase, string>} */ ({
  empty: "no run yet", preparing: "reading activations", running: "training", stopping: "stopping after this step",
  stopped: "stopped", ended: "ended", failed: "failed",
});
const COLUMNS = /** @type {[name: string, column: string, meaning: string][]} */ ([
  ["loss", "loss", "What is minimized: FVU, the auxiliary loss and the penalty together"],
  ["FVU", "fvu", "Fraction of variance unexplained: squared error of the reconstruction over the variance of the activations; 0 is perfect"],
  ["aux", "aux", "Auxiliary loss, with its coefficient: dead latents reconstruct what the others leave over, and so come back"],
  ["penalty", "penalty", "Sparsity penalty, with its coefficient: what firing costs; 0 where k sets the sparsity"],
  ["explained variance", "explained_variance", "1 − squared error over variance, averaged as the trainer does; 1 is perfect"],
  ["L0", "l0", "Mean number of latents that fire on a token"],
  ["dead", "dead", "Latents that have been silent for dead_after tokens"],
  ["rare", "rare", "Latents that are not dead but fire on fewer than 1 in 100,000 tokens"]]);

/** Seconds as 1:02:03. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** @param {DataView} points @param {string[]} columns @param {number} n number of SAEs @returns {Curves[]} */
export function unpack(points, columns, n) {
  const flat = floats(points);
  const length = n ? flat.length / (n * columns.length) : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(columns.map((name, c) =>
    [name, Float32Array.from({ length }, (__, j) => flat[(i * length + j) * columns.length + c])])));
}

/** Buttons to stop a run and to go on. @param {Ui<Training>} ui */
function buttons({ state, ask, say }) {
  /** @param {"stop" | "resume"} method */
  const press = (method) => { say(""); ask(method); };
  const stop = button("Stop", "End the run after the step under way; the cell returns the SAE so far", () => press("stop"));
  const resume = button("Resume", "Train the rest, exactly as if the run had not been stopped", () => press("resume"));
  resume.classList.add("sl-primary");
  /** @param {boolean} live */
  const draw = (live) => {
    stop.hidden = state.read_only || !live;
    stop.disabled = state.phase === "stopping";
    resume.hidden = state.read_only || !state.can_resume;
  };
  return { nodes: [stop, resume], draw };
}

/** What is going on, how far it is, and hints. @param {Ui<Training>} ui @param {Node} pick */
function head(ui, pick) {
  const { state } = ui;
  const heading = h("h2", {}), phase = h("span", { class: "sl-phase", role: "status" });
  const bar = h("div", { class: "sl-progress", role: "progressbar", "aria-label": "Tokens seen", "aria-valuemin": 0 }, h("span", {}));
  const counts = h("span", { class: "sl-muted" });
  const hints = h("ul", { class: "sl-hints", "aria-label": "Hints", "aria-live": "polite" });
  const does = buttons(ui);
  /** @param {boolean} live @param {number} share */
  function progress(live, share) {
    const { tokens: seen, budget, rate, seconds } = state;
    const parts = [`${count(seen)} of ${count(budget)} tokens (${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %)`];
    if (live && rate) parts.push(`${count(rate)} tokens/s`, `${duration((budget - seen) / rate)} left`);
    if (!live && seen && seconds) parts.push(duration(seconds), `${count(seen / seconds)} tokens/s`);
    else if (seconds) parts.push(`${duration(seconds)} so far`);
    return parts.join(" · ");
  }
  function draw() {
    const now = state.phase, live = ["preparing", "running", "stopping"].includes(now);
    heading.textContent = state.heading;
    if (phase.textContent !== SAID[now]) phase.textContent = SAID[now]; // not announced again with every update
    phase.dataset.phase = now;
    const share = state.budget ? clamp(state.tokens / state.budget, 0, 1) : 0;
    bar.style.setProperty("--w", `${(100 * share).toFixed(2)}%`);
    bar.setAttribute("aria-valuemax", String(state.budget));
    bar.setAttribute("aria-valuenow", String(state.tokens));
    bar.hidden = now === "empty";
    counts.textContent = bar.hidden ? "Give this monitor to sl.train(…, monitor=monitor)." : progress(live, share);
    does.draw(live);
    if (state.hints.join("\n") === [...hints.children].map((item) => item.textContent).join("\n")) return; // nor are these
    hints.replaceChildren(...state.hints.map((text) => h("li", {}, text)));
    hints.hidden = !state.hints.length;
  }
  return { nodes: [h("div", { class: "sl-bar sl-head" }, heading, phase, grow(), pick, ...does.nodes, figureMenu(ui, () => "training")), bar, counts, hints], draw };
}

/** Four charts of one SAE. @param {Training} state @param {Curves} s @param {number} i @returns {Chart[]} */
function chartsOfOne({ target, d_sae }, s, i) {
  const chart = (/** @type {string} */ title, /** @type {Line[]} */ ...lines) =>
    ({ title, lines, x: lines.map(() => s.tokens) });
  const line = (/** @type {string} */ name, /** @type {string} */ column, /** @type {number} */ color, more = {}) =>
    ({ name, y: s[column], color, ...more });
  const parts = ["aux", "penalty"].map((name, k) => line(name, name, 2 + k, { minor: true })).filter(({ y }) => y.some((v) => v > 0));
  return [
    { ...chart("Loss and its parts", line("loss", "loss", 0), line("FVU", "fvu", 1, { dashed: true }), ...parts), log: true },
    chart("Explained variance", line("explained variance", "explained_variance", 0, { key: "" })),
    { ...chart("L0, latents per token", line("L0", "l0", 0, { key: "" })), mark: target[i] ?? null },
    { ...chart(`Latents out of ${count(d_sae[i])}`, line("dead", "dead", 1), line("rare", "rare", 0)), zero: true },
  ];
}

/** Four charts of several SAEs; the table is their key. @param {Training} state @param {Curves[]} all @returns {Chart[]} */
function chartsOfAll({ names }, all) {
  const chart = (/** @type {string} */ title, /** @type {string} */ column, more = {}) => ({
    title, x: all.map((s) => s.tokens), ...more,
    lines: all.map((s, i) => ({ name: names[i], key: "", y: s[column], color: i % 6, dashed: i >= 6 })),
  });
  return [chart("Loss", "loss", { log: true }), chart("Explained variance", "explained_variance"),
    chart("L0, latents per token", "l0", { log: true }), chart("Dead latents", "dead", { zero: true })];
}

/** The newest values. @param {Training} state @param {Curves[]} all */
function newest({ names, d_sae }, all) {
  const cell = (/** @type {string} */ column, /** @type {number} */ i) => {
    const value = lastOf(all[i][column]);
    if (!["dead", "rare"].includes(column) || Number.isNaN(value)) return show(value);
    return `${count(value)} (${show((100 * value) / d_sae[i], 2)} %)`;
  };
  if (names.length === 1) return h("dl", {}, ...COLUMNS.map(([label, column, title]) => h("div", { title }, h("dt", {}, label), h("dd", {}, cell(column, 0)))));
  const head = tableRow("th", ["SAE", ...COLUMNS.map(([label]) => label)], (i) => ({ scope: "col", title: COLUMNS[i - 1]?.[2] }));
  const rows = names.map((name, i) => {
    const row = tableRow("td", COLUMNS.map(([label, column]) => [h("span", { class: "sl-name" }, `${label} `), cell(column, i)]));
    row.prepend(h("th", { scope: "row", ...series(i % 6, i >= 6) }, h("i", { "aria-hidden": "true" }), name));
    return row;
  });
  return h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows));
}

/** @param {Ui<Training>} ui */
function curves({ state, atEnd }) {
  const picker = h("select", { class: "sl-input", "aria-label": "SAE to show" });
  const pick = h("label", { class: "sl-field sl-muted" }, "show ", picker);
  const table = h("div", { class: "sl-now" });
  const grid = h("div", {
    class: "sl-charts", tabindex: "0", role: "group", "aria-label": "Curves; the arrow keys move through the run",
  });
  /** @type {number | null} */
  let at = null;
  const cross = (/** @type {number | null} */ x) => {
    at = x;
    for (const chart of charts) chart.place(x);
  };
  const charts = Array.from({ length: 4 }, () => lineChart(cross));
  grid.append(...charts.map((c) => c.node));
  atEnd(() => charts.forEach((c) => c.end()));
  let chosen = "all";
  picker.addEventListener("change", () => { chosen = picker.value; draw(); });
  const all = () => unpack(state.points, state.columns, state.names.length);

  function draw() {
    const { names, dead_after: after } = state, found = all();
    const options = names.length > 1 ? ["all", ...names.keys()].map(String) : [];
    if (picker.children.length !== options.length) {
      picker.replaceChildren(...options.map((value) => h("option", { value }, value === "all" ? "all SAEs" : names[Number(value)])));
      if (!options.includes(chosen)) chosen = "all";
      picker.value = chosen;
    }
    pick.hidden = names.length < 2;
    grid.hidden = table.hidden = !found.length || !found[0].tokens.length;
    if (grid.hidden) return;
    table.replaceChildren(newest(state, found));
    const one = names.length === 1 ? 0 : chosen === "all" ? null : Number(chosen);
    const shown = one === null ? chartsOfAll(state, found) : chartsOfOne(state, found[one], one);
    charts.forEach((chart, i) => chart.update(shown[i]));
    const silent = one !== null && after[one] ? `${count(after[one])} tokens` : "dead_after tokens";
    charts[3].node.title = one === null ? ""
      : `dead: silent for ${silent}; rare: not dead, but fires on fewer than 1 in 100,000 tokens`;
    cross(at);
  }
  onKeys(grid, (event) => {
    const tokens = all()[0]?.tokens ?? new Float32Array(0);
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (event.key === "Escape" && at !== null) return () => cross(null);
    if (!step || !tokens.length) return undefined;
    const place = at === null ? tokens.length - (step < 0 ? 0 : 1) : tokens.indexOf(at);
    return () => cross(tokens[clamp(place + step, 0, tokens.length - 1)]);
  });
  return { pick, nodes: [table, grid], draw };
}

/** @param {Ui<Training>} ui */
function build(ui) {
  const lines = curves(ui), top = head(ui, lines.pick);
  const draw = () => { top.draw(); lines.draw(); };
  ui.soon(["phase", "heading", "names", "tokens", "budget", "rate", "seconds", "hints", "can_resume", "points", "target", "d_sae",
    "dead_after"], draw);
  ui.view.append(...top.nodes, ...lines.nodes);
  draw();
}

export default widget("training-monitor", "Training monitor", build);
