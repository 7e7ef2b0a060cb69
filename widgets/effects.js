/** A text coloured by what ablating a latent changes, and the votes at the chosen place. */
import { check, tableRow, tabs } from "./controls.js";
import { clamp, closest, floats, grow, h, link, show, signed } from "./dom.js";
import { chip, covers, groups, labelOf, paragraph, select, shade, tokens } from "./text.js";
import { facts } from "./tip.js";

const NAMES = /** @type {[Measure, string][]} */ ([["loss_diff", "loss difference"], ["kl", "KL"], ["activation", "activation"]]);
const NOTES = /** @type {Record<Measure, string>} */ ({
  loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. "
    + "A + means that the latent helps to predict it, a − that it harms.",
  kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
  activation: "How strongly the latent fires at each token.",
});

/** @param {Shows} of @param {string} name */
const numbers = ({ numbers: all, direct }, name) => floats(all[direct && name === "kl" ? "direct_kl" : name]);

/** Tokens and values voted up or down. @param {Shows} of @param {"up" | "down"} way @param {number} position @returns {[string, number][]} */
function voted({ text, direct, votes, weights }, way, position) {
  const key = direct ? `direct_${way}` : way;
  const all = floats(weights[key]);
  const width = all.length / Math.max(1, text.ids?.length ?? 0);
  return (votes[key]?.[position] ?? []).map((name, i) => [name, all[position * width + i]]);
}

/** What is shown, and how. @param {GetShows} get @param {(changes: Partial<Shown>) => void} set */
function head(get, set) {
  const measures = tabs("What colours the text", NAMES, (measure) => set({ measure, vmax: null }));
  const direct = check("direct effect", (on) => set({ direct: on }), {
    class: "sl-check", title: "Only what the latent's own write changes in the last layer's residual stream",
  });
  const white = check("white space", (on) => set({ show_whitespace: on }), { class: "sl-check" });
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });
  const draw = () => {
    const of = get();
    direct.node.hidden = !of.has_direct;
    direct.input.checked = of.direct;
    white.input.checked = of.show_whitespace;
    measures.mark(of.measure);
    note.textContent = NOTES[of.measure] + (of.edited.length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  };
  return { node: h("div", { class: "sl-bar" }, measures.node, direct.node, white.node, grow(), ramp), ramp, note, draw };
}

/** Colour a token by the strongest of its values. @param {HTMLElement} span @param {Shows} of @param {Float32Array} values @param {number} high */
function paint(span, of, values, high) {
  let value = 0;
  for (let i = Number(span.dataset.start); i < Number(span.dataset.stop); i += 1) {
    if (Math.abs(values[i]) > Math.abs(value)) value = values[i];
    if (of.edited.includes(i)) span.classList.add("sl-edited");
  }
  const a = shade(Math.abs(value), 0, high);
  if (a > 0) {
    span.style.setProperty("--a", a.toFixed(3));
    span.classList.add(value > 0 ? "sl-hot" : "sl-less");
  }
  span.setAttribute("role", "option");
  const name = NAMES.find(([measure]) => measure === of.measure)?.[1];
  span.title = `${name} ${of.measure === "loss_diff" ? signed(value) : show(value)}`;
}

/** What is known of one place. @param {Shows} of @param {number} at */
function detail(of, at) {
  const next = of.following[at];
  const [loss, change] = [numbers(of, "loss")[at], numbers(of, "loss_diff")[at]];
  const both = { up: voted(of, "up", at), down: voted(of, "down", at) };
  const high = Math.max(...[...both.up, ...both.down].map(([, v]) => Math.abs(v)), 1e-9);
  const votes = (/** @type {"up" | "down"} */ way) => h("div", { class: `sl-voted sl-${way}` },
    h("h3", {}, way === "up" ? "the latent votes up (+)" : "the latent votes down (−)"),
    ...both[way].map(([name, value]) => {
      const bar = h("i", {});
      bar.style.width = `${(100 * Math.abs(value)) / high}%`;
      return h("div", { class: "sl-vote" }, chip(name), h("output", {}, signed(value)), h("span", {}, bar));
    }),
    both[way].length ? null : h("span", { class: "sl-muted" }, "nothing"));
  return [facts([
    ["position", String(at)], ["token", chip(labelOf(of.text, at))], ["next", next === null ? "(end)" : chip(next)],
    ["activation", show(numbers(of, "activation")[at]) + (of.edited.includes(at) ? " → 0" : "")],
    ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
    ["loss difference", signed(change)], [of.direct ? "KL (direct)" : "KL", show(numbers(of, "kl")[at])],
  ], "sl-place"), votes("up"), votes("down")];
}

/** All positions, when asked for. @param {GetShows} get @param {(changes: Partial<Shown>) => void} set @param {() => void} drawSelection */
function positions(get, set, drawSelection) {
  const body = h("tbody", {});
  const kind = (/** @type {number} */ i) => ({ class: [0, 2, 3, 4].includes(i) ? "sl-num" : "" });
  const names = ["", "token", "activation", "loss difference", "KL", "up", "down"];
  const node = h("div", { class: "sl-table", hidden: true }, h("table", {}, h("thead", {}, tableRow("th", names, kind)), body));
  const more = link("all positions as a table", () => {
    node.hidden = !node.hidden;
    more.setAttribute("aria-expanded", String(!node.hidden));
    draw();
  }, { class: "sl-link sl-small sl-live", "aria-expanded": "false" });
  function draw() {
    if (node.hidden) return;
    const of = get();
    const [activation, change, kl] = ["activation", "loss_diff", "kl"].map((name) => numbers(of, name));
    const few = (/** @type {"up" | "down"} */ way, /** @type {number} */ i) => h("td", { class: "sl-many" },
      ...voted(of, way, i).slice(0, 3).map(([name, v]) => h("span", { class: "sl-one" }, chip(name), ` ${signed(v)}`)));
    body.replaceChildren(...of.text.ids.map((_, i) => {
      const row = tableRow("td", [String(i), chip(labelOf(of.text, i)), show(activation[i]), signed(change[i]), show(kl[i])],
        (c) => ({ class: c === 0 ? "sl-num sl-muted" : kind(c).class }));
      row.append(few("up", i), few("down", i));
      return row;
    }));
    drawSelection();
  }
  body.addEventListener("click", (event) => {
    const row = closest(event, "tr");
    if (row) set({ selected_token: [...body.children].indexOf(row) });
  });
  return { node, more, body, draw };
}

/** @param {GetShows} get @param {(changes: Partial<Shown>) => void} set who calls draw or drawSelection then */
export function effectsPicture(get, set) {
  const top = head(get, set);
  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  const about = h("section", { class: "sl-detail", "aria-live": "polite" });
  const table = positions(get, set, drawSelection);
  /** @type {HTMLElement[]} */
  let spans = [];

  function drawText() {
    const of = get();
    const values = numbers(of, of.measure);
    const high = of.vmax ?? values.reduce((most, v) => (Math.abs(v) > most ? Math.abs(v) : most), 0);
    spans = tokens(of.text, [], { high: 1 });
    for (const span of spans) paint(span, of, values, high);
    const body = paragraph(of.text, spans);
    body.classList.toggle("sl-show-space", of.show_whitespace);
    strip.replaceChildren(body);
    const both = of.measure === "loss_diff";
    top.ramp.replaceChildren(h("span", {}, both ? signed(-high) : "0"), h("span", { class: `sl-ramp${both ? " sl-both" : ""}` }),
      h("span", {}, both ? signed(high) : show(high)));
    drawSelection();
  }
  function drawSelection() {
    const of = get(), at = of.selected_token;
    select(spans, (span) => covers(span, at));
    [...table.body.children].forEach((row, i) => select([row], () => i === at));
    about.hidden = at === null;
    if (at !== null && at < (of.text.ids?.length ?? 0)) about.replaceChildren(...detail(of, at));
  }
  strip.addEventListener("click", (event) => {
    const token = closest(event, ".sl-tok");
    if (token) set({ selected_token: Number(token.dataset.start) });
  });
  /** What an arrow key or Escape does. @param {KeyboardEvent} event */
  function keyOf(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const pieces = groups(get().text);
    if (event.key === "Escape") return () => set({ selected_token: null });
    if (step === undefined || !pieces.length) return undefined;
    return () => {
      const at = get().selected_token;
      const to = at === null ? 0 : clamp(pieces.findIndex((g) => g.start <= at && at < g.stop) + step, 0, pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    };
  }
  const draw = () => { top.draw(); drawText(); table.draw(); };
  const node = h("div", { class: "sl-effects" }, top.node, top.note, strip, about, table.more, table.node);
  return { node, draw, drawSelection, keyOf };
}
