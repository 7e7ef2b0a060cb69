/** Beside a pattern graph: its scores, the selected node, the edits. */
import { tableRow } from "./controls.js";
import { button, count, h, link, many, note, show, signed } from "./dom.js";
import { facts } from "./tip.js";

const WHAT = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text", more: "" };
const KEYS = /** @type {Quality[]} */ (["precision", "recall", "f1"]);

export const percent = (/** @type {number | null | undefined} */ v) => (v === null || v === undefined ? "–" : `${(100 * v).toFixed(1)} %`);

/** A change with its sign, coloured by whether it is good. @param {string} name @param {number} n @param {1 | -1} good */
export const change = (name, n, good) =>
  h("span", { class: n === 0 ? "sl-muted" : n * good > 0 ? "sl-up" : "sl-down" }, `${name} ${n ? signed(n) : "±0"}`);

/** A row of three measures. @param {string} name @param {Score} score @param {string} [kind] */
function scoreRow(name, score, kind = "") {
  const row = tableRow("td", [name, ...KEYS.map((k) => percent(score[k]))], (i) => {
    const range = i ? score[`${KEYS[i - 1]}_interval`] : null;
    return { title: range ? `95 %: ${percent(range[0])} to ${percent(range[1])}` : null };
  });
  row.setAttribute("class", kind);
  return row;
}

/** The intervals of the measures, where one stands. @param {Score} now */
function intervals(now) {
  const all = KEYS.map((k) => now[`${k}_interval`]);
  if (!all.some((range) => range)) return [];
  const row = tableRow("td", ["95 %", ...all.map((range) => range?.map((v) => (100 * v).toFixed(0)).join("–") ?? "")], () => ({ class: "sl-muted" }));
  row.setAttribute("class", "sl-range");
  return [row];
}

/** What the edits have changed, in points. @param {Score} was @param {Score} now */
function gains(was, now) {
  const points = KEYS.map((k) => (was[k] === null || now[k] === null ? NaN : 100 * (now[k] - was[k])));
  const sign = (/** @type {number} */ p) => (p >= 0.05 ? "+" : p <= -0.05 ? "−" : "±");
  return tableRow("td", ["change", ...points.map((p) => (Number.isNaN(p) ? "–" : `${sign(p)}${Math.abs(p).toFixed(1)}`))], (i) => {
    const p = points[i - 1];
    if (i === 0) return { class: "sl-muted" };
    return { class: `sl-delta ${Number.isNaN(p) ? "" : p > 0.05 ? "sl-up" : p < -0.05 ? "sl-down" : "sl-muted"}` };
  });
}

/** @param {Ui<N2G>} ui */
export function scores({ state, ask }) {
  const node = h("section");
  const test = button("Test score", "Score on the test documents. Ask once, at the end: who edits until it looks good has made it worthless",
    () => ask("final_score"));
  function draw() {
    const { score: now, before: was, final, done } = state;
    node.replaceChildren(h("h3", {}, now?.split ? `Score on the ${now.split} documents` : "Score"));
    if (!now) return node.append(note(state.score_reason));
    const last = final ? [scoreRow(final.done === done ? "test" : `test, at edit ${final.done}`, final, "sl-final")] : [];
    node.append(h("table", { class: "sl-scores" }, tableRow("th", ["", "precision", "recall", "F1"]), scoreRow("graph", now, "sl-now"),
      ...intervals(now), ...(was && done ? [gains(was, now)] : []),
      ...Object.entries(state.baselines).map(([name, score]) => scoreRow(name, score)), ...last));
    const within = now.tokens ? ` in ${count(now.tokens)} tokens of ${now.on}` : "";
    node.append(note(`${many(now.tp, "hit")}, ${many(now.fp, "false alarm")}, ${many(now.fn, "miss", "misses")}${within}`));
    if (final) node.append(note(`test: ${final.on}`));
    if (!state.read_only) node.append(test);
  }
  return { node, draw };
}

/** The selected node. @param {Ui<N2G>} ui @param {ReturnType<typeof import("./n2g_tools.js").tools>} editing */
export function details({ state, ask }, editing) {
  const node = h("section", { class: "sl-detail" });
  function draw() {
    const here = editing.node();
    node.replaceChildren();
    if (!here) return node.append(note(state.nodes.length ? "Select a node to see and change what it matches." : ""));
    node.append(h("h3", {}, `Node ${here.id}: ${WHAT[here.kind]}`));
    const rest = here.text.length - 60;
    if (here.text.length) node.append(h("div", { class: "sl-chips" }, ...editing.alternatives(here), rest > 0 ? `+ ${rest}` : null));
    /** @type {[string, number | null][]} */
    const known = [];
    if (here.end) known.push(["predicted activation", here.end.value]);
    if (here.imp !== null) known.push(["matters (0 to 1)", here.imp]);
    const list = h("dl", { class: "sl-facts-list" });
    const fill = (/** @type {[string, number | null][]} */ rows) => list.append(...facts(rows.map(([a, b]) => [a, show(b)])).childNodes);
    fill(known);
    node.append(list);
    if (!state.read_only && state.score) ask("facts", { node: here.id }, (found) => { if (node.contains(list)) fill(found); });
  }
  return { node, draw };
}

/** What colours, lines and numbers of the drawing mean. */
export function legend() {
  /** @param {string} sign @param {string} means @param {string} [says] */
  const key = (sign, means, says = "") => h("span", {}, h("i", { class: `sl-sign sl-sign-${sign}` }, says), means);
  return h("details", { class: "sl-key sl-small" }, h("summary", {}, "what the drawing means"), h("div", {},
    key("value", "a pattern ends here: the activation that it predicts", "2.5"),
    key("shade", "the more orange, the more is predicted; before an end: the more the token matters to the model"),
    key("first", "thick: the token on which the latent fires, and where a pattern ends"),
    key("not", "red: any token but these"), key("any", "dashed: any token, a gap, or the start of the text"),
    key("more", "dotted: more nodes, folded away; a click opens them"), key("lock", "locked against edits", "🔒"),
    key("text", "· is a space, ↵ a new line, \\x9c a byte of a letter that the tokenizer cuts in pieces; + 4 more: and 4 more tokens", "·")));
}

/** The edits, with notes; a click goes to one. @param {Ui<N2G>} ui */
export function history({ state, ask }) {
  const node = h("section");
  const muted = (/** @type {string} */ text, more = "") => h("span", { class: `sl-muted${more}` }, text);
  const f1 = (/** @type {number | null | undefined} */ value) => muted(value === null || value === undefined ? "" : `F1 ${percent(value)}`);
  /** @param {number} step @param {Node | string} text */
  function jump(step, text) {
    const here = step === state.done;
    return state.read_only ? h("span", {}, text) : link(text, () => ask("go_to", { step }),
      { title: here ? "The graph is here" : "Go here", "aria-current": here ? "step" : null });
  }
  /** @param {Step} step @param {number} i */
  function item(step, i) {
    const inEffect = i < state.done, { delta } = step;
    const made = h("li", { class: inEffect ? "" : "sl-undone" }, jump(i + 1, h("bdi", {}, step.text)), f1(step.f1));
    if (delta) made.append(h("span", { class: "sl-small sl-changes" }, change("hits", delta.tp, 1), " ", change("false alarms", delta.fp, -1)));
    if (state.read_only || !inEffect) {
      if (step.note) made.append(muted(step.note, " sl-small"));
      return made;
    }
    const field = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
    field.value = step.note;
    field.addEventListener("change", () => ask("annotate", { step: i, note: field.value }));
    made.append(field);
    return made;
  }
  function draw() {
    node.replaceChildren();
    if (!state.history.length) return;
    const first = h("li", {}, jump(0, "as it began"), muted(state.before ? `F1 ${percent(state.before.f1)}` : ""));
    node.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, first, ...state.history.map(item)));
  }
  return { node, draw };
}
