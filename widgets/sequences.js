/** The texts of a heatmap: tokens to point at, to select, and to mark a span of. */
import { clamp, closest, floats, h, show } from "./dom.js";
import { alone, onKeys } from "./controls.js";
import { chip, covers, direction, labelOf, paragraph, tokens } from "./text.js";
import { facts, inline, tokenTip } from "./tip.js";


export const HUES = 8; // told apart where several latents are drawn at once

/** @param {number} value */
const said = (value) => (Number.isNaN(value) ? "NaN" : show(value));

/** Place of the drawn latent among the latents. @param {Heatmap} state */
export const place = ({ latents, latent }) => Math.max(0, latents.indexOf(latent ?? -1));

/** Tokens on the page. @param {Heatmap} state */
const tokensOn = ({ sequences: all }) => all.reduce((n, s) => n + s.ids.length, 0);

/** Tokens in the colour of the latent that is there at the largest share of its own maximum. @param {Heatmap} state @param {TokenText} text @param {number} offset */
function strongest(state, text, offset) {
  const all = floats(state.values), total = tokensOn(state);
  const hue = new Uint8Array(text.ids.length), share = new Float32Array(text.ids.length);
  state.latents.forEach((_, k) => {
    for (let i = 0; i < share.length; i += 1) {
      const part = all[k * total + offset + i] / (state.maxima[k] || 1);
      if (part > share[i]) [share[i], hue[i]] = [part, k % HUES];
    }
  });
  const spans = tokens(text, share, { high: 1 });
  for (const span of spans) {
    let best = Number(span.dataset.start);
    for (let i = best; i < Number(span.dataset.stop); i += 1) if (share[i] > share[best]) best = i;
    if (share[best] > 0) span.style.setProperty("--sl-heat", `var(--sl-h${hue[best]})`);
  }
  return spans;
}

/** @param {HTMLElement} span */
const ends = ({ dataset }) => /** @type {[number, number]} */ ([Number(dataset.start), Number(dataset.stop)]);

/** @param {Ui<Heatmap>} ui @param {() => Span} range */
export function sequences(ui, range) {
  const { state } = ui;
  const node = h("div", {
    class: "sl-sequences", role: "listbox", tabindex: "0",
    "aria-label": "Tokens. Arrow keys move, shift and arrow keys mark a span, Enter pins the facts of a token, Escape clears.",
  });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  /** @type {TextGrid} */
  const grid = { node, rows: [], drawSelection, describe };

  function draw() {
    const all = floats(state.values), total = tokensOn(state), first = state.first;
    let offset = 0;
    grid.rows = state.sequences.map((text, i) => {
      const begin = place(state) * total + offset;
      const values = all.subarray(begin, begin + text.ids.length);
      const spans = state.together ? strongest(state, text, offset) : tokens(text, values, range());
      for (const span of spans) {
        span.setAttribute("role", "option");
        span.dataset.row = String(i);
      }
      const row = h("div", { class: "sl-sequence" }, h("div", { class: "sl-name", title: text.name ?? "" }, text.name || String(first + i)),
        h("div", {}, paragraph(text, spans)));
      offset += text.ids.length;
      return { row, spans, values, offset: offset - text.ids.length };
    });
    node.replaceChildren(...grid.rows.map((d) => d.row));
    node.classList.toggle("sl-single", state.n_sequences === 1);
    drawSelection();
  }

  /** Facts of one token, for the tip and the status line. @type {TextGrid["describe"]} */
  function describe(row, position) {
    const text = state.sequences[row], { values, offset } = grid.rows[row];
    const percentile = floats(state.percentiles)[place(state) * tokensOn(state) + offset + position] ?? NaN;
    /** @type {Pairs} */
    const pairs = [["token", chip(labelOf(text, position))], ["id", String(text.ids[position])], ["position", String(position)]];
    if (state.together) state.latents.forEach((latent, k) => {
      const value = floats(state.values)[k * tokensOn(state) + offset + position];
      if (value > 0 || Number.isNaN(value)) pairs.push([`latent ${latent}`, said(value)]);
    });
    else pairs.push(["activation", said(values[position])]);
    if (!state.together && !Number.isNaN(percentile)) pairs.push(["percentile", show(100 * percentile, 4)]);
    if (text.special?.includes(position)) pairs.push(["", "not counted: special token"]);
    return pairs;
  }

  function drawSelection() {
    const row = (state.selected_sequence ?? -1) - state.first;
    const token = state.selected_token, span = state.selected_span;
    grid.rows.forEach(({ spans }, i) => {
      for (const s of spans) {
        const [a, b] = ends(s);
        s.setAttribute("aria-selected", String(i === row && covers(s, token)));
        s.classList.toggle("sl-in-span", !!span && span[0] - state.first === i && a < span[2] && b > span[1]);
      }
    });
    status.replaceChildren();
    if (token !== null && token < (grid.rows[row]?.values.length ?? 0)) {
      status.append(...inline(describe(row, token)), ...(span ? [h("span", {}, `span ${span[1]}–${span[2] - 1}`)] : []));
    } else status.append(span ? `span: tokens ${span[1]}–${span[2] - 1} of text ${span[0]}` : h("span", { class: "sl-live" }, "Click a token, or drag over several."));
  }

  pointer(ui, grid);
  keyboard(ui, grid);
  return { node, status, draw, drawSelection };
}

/** A click selects a token, dragging marks a span. @param {Ui<Heatmap>} ui @param {TextGrid} grid */
function pointer({ state, set, tip, signal }, grid) {
  /** @type {{ row: number, start: number, stop: number, from: HTMLElement } | null} */
  let drag = null;
  grid.node.addEventListener("pointerdown", (event) => {
    const token = closest(event, ".sl-tok");
    if (!token || event.button !== 0) return;
    const [start, stop] = ends(token);
    drag = { row: Number(token.dataset.row), start, stop, from: token };
  });
  tokenTip(tip, grid.node, (token, i) => {
    const row = Number(token.dataset.row);
    if (!drag || row !== drag.row || token === drag.from) return grid.describe(row, i);
    const [a, b] = ends(token);
    for (const s of grid.rows[row].spans) {
      const [start, stop] = ends(s);
      s.classList.toggle("sl-in-span", start < Math.max(b, drag.stop) && stop > Math.min(a, drag.start));
    }
    return null;
  });
  window.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const token = closest(event, ".sl-tok"), from = drag;
    drag = null;
    if (!token || !grid.node.contains(token) || Number(token.dataset.row) !== from.row) return grid.drawSelection();
    const [a, b] = ends(token);
    const [sequence, start] = [state.first + from.row, Math.min(from.start, a)];
    const span = token === from.from ? null : [sequence, start, Math.max(from.stop, b)];
    set({ selected_sequence: sequence, selected_token: start, selected_span: span });
  }, { signal });
}

const STEPS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] });

/** Arrow keys move, with the shift key they mark a span. @param {Ui<Heatmap>} ui @param {TextGrid} grid */
function keyboard({ state, set, tip }, grid) {
  const spanAt = (/** @type {number} */ row, /** @type {number} */ position) => grid.rows[row]?.spans.find((s) => covers(s, position));
  const chosen = () => (state.selected_sequence ?? -1) - state.first;
  const pin = () => { // the facts stay until the next key or move
    const token = state.selected_token;
    const span = token === null ? undefined : spanAt(chosen(), token);
    if (span) tip.show(span, facts(grid.describe(chosen(), token ?? 0)));
  };
  /** @param {number} down @param {number} along @param {boolean} extend */
  function move(down, along, extend) {
    const all = state.sequences;
    if (!all.length) return;
    let row = chosen(), token = state.selected_token;
    if (!all[row] || token === null) [row, token] = [0, 0];
    else {
      const by = direction(all[row]) === "rtl" ? -along : along; // an arrow key moves the way it points
      row = extend ? row : clamp(row + down, 0, all.length - 1);
      const next = clamp(token + by, 0, all[row].ids.length - 1);
      if (extend) return mark(state.first + row, token, next);
      token = next;
    }
    set({ selected_sequence: state.first + row, selected_token: token, selected_span: null });
    spanAt(row, token)?.scrollIntoView?.({ block: "nearest" });
  }
  /** @param {number} sequence @param {number} token @param {number} next */
  function mark(sequence, token, next) {
    const span = state.selected_span;
    const anchor = span && span[0] === sequence ? (span[1] === token ? span[2] - 1 : span[1]) : token;
    set({ selected_token: next, selected_span: [sequence, Math.min(anchor, next), Math.max(anchor, next) + 1] });
  }
  onKeys(grid.node, (event) => {
    if (event.key === "Enter") return pin;
    if (event.key === "Escape") return () => { tip.hide(); set({ selected_sequence: null, selected_token: null, selected_span: null }); };
    const step = STEPS[event.key];
    return step && alone(event) && (() => move(step[0], step[1], event.shiftKey && step[1] !== 0));
  });
}
