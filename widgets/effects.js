/** A text coloured by what ablating a latent changes, and the votes at the chosen place. */
import { floats, h, show } from "./dom.js";
import { chip, direction, groups, labelOf, shade, tokens } from "./text.js";

/**
 * @typedef {"loss_diff" | "kl" | "activation"} Measure
 * @typedef {object} Effects what the effects of ablating a latent on a text are
 * @property {import("./text.js").TokenText} text
 * @property {(string | null)[]} following
 * @property {number[]} edited
 * @property {Record<string, DataView>} numbers
 * @property {Record<string, string[][]>} votes
 * @property {Record<string, DataView>} weights
 * @property {boolean} has_direct
 * @typedef {object} Shown how they are shown
 * @property {Measure} measure
 * @property {boolean} direct
 * @property {number | null} selected_token
 * @property {number | null} vmax
 * @property {boolean} show_whitespace
 */

const NAMES = /** @type {Record<Measure, string>} */ ({ loss_diff: "loss difference", kl: "KL", activation: "activation" });
const NOTES = /** @type {Record<Measure, string>} */ ({
  loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. A + means that the latent helps to predict it, a − that it harms.",
  kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
  activation: "How strongly the latent fires at each token.",
});

/** A number with its sign written out. @param {number | null | undefined} value */
export function signed(value) {
  const text = show(value);
  return value !== null && value !== undefined && value > 0 ? `+${text}` : text;
}

/**
 * @param {<K extends keyof (Effects & Shown)>(key: K) => (Effects & Shown)[K]} get
 * @param {(changes: Partial<Shown>) => void} set who calls draw or drawSelection then
 */
export function effectsPicture(get, set) {
  const size = () => get("text").ids?.length ?? 0;
  /** @param {string} name */
  const numbers = (name) => floats(get("numbers")[get("direct") && name === "kl" ? "direct_kl" : name]);

  /** Tokens and values voted up or down. @param {"up" | "down"} way @param {number} position @returns {[string, number][]} */
  function voted(way, position) {
    const key = get("direct") ? `direct_${way}` : way;
    const names = get("votes")[key]?.[position] ?? [];
    const all = floats(get("weights")[key]);
    const width = all.length / Math.max(1, size());
    return names.map((name, i) => [name, all[position * width + i]]);
  }

  const tabs = h("span", { class: "sl-tabs", role: "tablist", "aria-label": "What colours the text" });
  const direct = h("input", { type: "checkbox" });
  direct.addEventListener("change", () => set({ direct: direct.checked }));
  const directBox = h("label", { class: "sl-check", title: "Only what the latent's own write changes in the last layer's residual stream" }, direct, "direct effect");
  const white = h("input", { type: "checkbox" });
  white.addEventListener("change", () => set({ show_whitespace: white.checked }));
  const whiteBox = h("label", { class: "sl-check" }, white, "white space");
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });

  function drawHead() {
    directBox.hidden = !get("has_direct");
    direct.checked = get("direct");
    white.checked = get("show_whitespace");
    tabs.replaceChildren(...Object.entries(NAMES).map(([key, name]) => {
      const tab = h("button", { type: "button", role: "tab", "aria-selected": String(get("measure") === key) }, name);
      tab.addEventListener("click", () => set({ measure: /** @type {Measure} */ (key), vmax: null }));
      return tab;
    }));
    note.textContent = NOTES[get("measure")] + (get("edited").length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  }

  // ---------------------------------------------------------------------------- text

  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  /** @type {HTMLElement[]} */
  let spans = [];

  function drawText() {
    const text = get("text");
    const measure = get("measure");
    const values = numbers(measure);
    let largest = 0;
    for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
    const high = get("vmax") ?? largest;
    const edited = new Set(get("edited"));
    spans = tokens(text, [], { high: 1 });
    for (const span of spans) {
      let value = 0;
      for (let i = Number(span.dataset.start); i < Number(span.dataset.stop); i += 1) {
        if (Number.isFinite(values[i]) && Math.abs(values[i]) > Math.abs(value)) value = values[i];
        if (edited.has(i)) span.classList.add("sl-edited");
      }
      const a = shade(Math.abs(value), 0, high);
      if (a > 0) {
        span.style.setProperty("--a", a.toFixed(3));
        span.classList.add(value > 0 ? "sl-hot" : "sl-less");
      }
      span.setAttribute("role", "option");
      span.title = `${NAMES[measure]} ${measure === "loss_diff" ? signed(value) : show(value)}`;
    }
    const body = h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans);
    body.classList.toggle("sl-show-space", get("show_whitespace"));
    strip.replaceChildren(body);
    const both = measure === "loss_diff";
    ramp.replaceChildren(h("span", {}, both ? signed(-high) : "0"), h("span", { class: `sl-ramp${both ? " sl-both" : ""}` }), h("span", {}, both ? signed(high) : show(high)));
    drawSelection();
  }

  // -------------------------------------------------------------------------- detail

  const detail = h("section", { class: "sl-detail", "aria-live": "polite" });

  /** @param {"up" | "down"} way @param {number} position */
  function votes(way, position) {
    const rows = voted(way, position);
    const high = Math.max(...voted("up", position).map(([, v]) => Math.abs(v)), ...voted("down", position).map(([, v]) => Math.abs(v)), 1e-9);
    return h("div", { class: `sl-voted sl-${way}` },
      h("h3", {}, way === "up" ? "the latent votes up (+)" : "the latent votes down (−)"),
      ...rows.map(([name, value]) => {
        const bar = h("i", {});
        bar.style.width = `${(100 * Math.abs(value)) / high}%`;
        return h("div", { class: "sl-vote" }, chip(name), h("output", {}, signed(value)), h("span", {}, bar));
      }),
      rows.length ? null : h("span", { class: "sl-muted" }, "nothing"));
  }

  function drawSelection() {
    const at = get("selected_token");
    for (const s of spans) s.setAttribute("aria-selected", String(at !== null && Number(s.dataset.start) <= at && at < Number(s.dataset.stop)));
    for (const row of lines()) row.setAttribute("aria-selected", String(Number(row.dataset.at) === at));
    detail.hidden = at === null;
    if (at === null || at >= size()) return;
    const next = get("following")[at];
    const [loss, change] = [numbers("loss")[at], numbers("loss_diff")[at]];
    /** @type {[string, string | Node][]} */
    const pairs = [
      ["position", String(at)],
      ["token", chip(labelOf(get("text"), at))],
      ["next", next === null ? "(end)" : chip(next)],
      ["activation", show(numbers("activation")[at]) + (get("edited").includes(at) ? " → 0" : "")],
      ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
      ["loss difference", signed(change)],
      [get("direct") ? "KL (direct)" : "KL", show(numbers("kl")[at])],
    ];
    detail.replaceChildren(
      h("dl", { class: "sl-place" }, ...pairs.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
      votes("up", at), votes("down", at));
  }

  // --------------------------------------------------------------------------- table

  const body = h("tbody", {});
  const table = h("div", { class: "sl-table", hidden: true }, h("table", {},
    h("thead", {}, h("tr", {}, ...["", "token", "activation", "loss difference", "KL", "up", "down"].map((t, i) => h("th", { class: [0, 2, 3, 4].includes(i) ? "sl-num" : "" }, t)))), body));
  const more = h("button", { type: "button", class: "sl-link sl-small", "aria-expanded": "false" }, "all positions as a table");
  more.addEventListener("click", () => {
    table.hidden = !table.hidden;
    more.setAttribute("aria-expanded", String(!table.hidden));
    drawTable();
  });
  const lines = () => /** @type {HTMLElement[]} */ ([...body.children]);

  function drawTable() {
    if (table.hidden) return;
    const [activation, change, kl] = ["activation", "loss_diff", "kl"].map(numbers);
    body.replaceChildren(...Array.from({ length: size() }, (_, i) => {
      const few = (/** @type {"up" | "down"} */ way) => voted(way, i).slice(0, 3).map(([name, v]) => h("span", { class: "sl-one" }, chip(name), ` ${signed(v)}`));
      return h("tr", { "data-at": i },
        h("td", { class: "sl-num sl-muted" }, String(i)), h("td", {}, chip(labelOf(get("text"), i))),
        h("td", { class: "sl-num" }, show(activation[i])), h("td", { class: "sl-num" }, signed(change[i])), h("td", { class: "sl-num" }, show(kl[i])),
        h("td", { class: "sl-many" }, ...few("up")), h("td", { class: "sl-many" }, ...few("down")));
    }));
    drawSelection();
  }
  body.addEventListener("click", (event) => {
    const row = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest("tr"));
    if (row) set({ selected_token: Number(row.dataset.at) });
  });

  strip.addEventListener("click", (event) => {
    const token = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-tok"));
    if (token) set({ selected_token: Number(token.dataset.start) });
  });
  /** Arrow keys and Escape. @param {KeyboardEvent} event @returns {boolean} whether it was for us */
  function move(event) {
    const at = get("selected_token");
    const pieces = groups(get("text"));
    const here = pieces.findIndex((g) => at !== null && g.start <= at && at < g.stop);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") set({ selected_token: null });
    else if (step !== undefined && pieces.length) {
      const to = at === null ? 0 : Math.min(Math.max(here + step, 0), pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    } else return false;
    return true;
  }

  const draw = () => { drawHead(); drawText(); drawTable(); };
  const node = h("div", { class: "sl-effects" },
    h("div", { class: "sl-bar" }, tabs, directBox, whiteBox, h("span", { class: "sl-grow" }), ramp), note, strip, detail, more, table);
  return { node, draw, drawSelection, move };
}
