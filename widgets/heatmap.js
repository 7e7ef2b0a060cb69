/** ActivationHeatmap: latents over texts, a page of sequences at a time. */
import { alertBox } from "./alert.js";
import { button, count, floats, h, root, show, throttle, typing } from "./dom.js";
import { figureMenu } from "./figure.js";
import { requests } from "./rpc.js";
import { scale } from "./scale.js";
import { chip, direction, labelOf, tokens } from "./text.js";
import { facts, tooltip } from "./tip.js";

/**
 * @typedef {import("./text.js").TokenText} TokenText
 * @typedef {object} State
 * @property {number[]} latents
 * @property {number | null} latent the one drawn
 * @property {string[]} names one per latent, may be empty
 * @property {TokenText[]} sequences of this page
 * @property {number} first index of the page's first sequence
 * @property {number} n_sequences
 * @property {number} page
 * @property {number} n_pages
 * @property {DataView} values (latents, tokens of the page) float32
 * @property {DataView} percentiles the same, or empty
 * @property {number[]} maxima per latent, over all pages
 * @property {number | null} vmin
 * @property {number | null} vmax
 * @property {boolean} show_whitespace
 * @property {number | null} selected_sequence
 * @property {number | null} selected_token
 * @property {number[] | null} selected_span sequence, start, stop
 * @property {boolean} can_ask whether Python can name the latents of a span
 * @property {{ message?: string, traceback?: string }} error
 */

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("heatmap", "Activation heatmap");
  const alert = alertBox(model);
  const chips = h("div", { class: "sl-latents", role: "group", "aria-label": "Latent" });
  const bar = scale(model, () => Math.max(model.get("maxima")[column()] ?? 0, model.get("vmin") ?? 0), "Keep this scale for every latent and page");
  const space = h("input", { type: "checkbox" });
  space.addEventListener("change", () => set({ show_whitespace: space.checked }));
  const pager = h("div", { class: "sl-bar" });
  const add = h("input", { class: "sl-input sl-add", type: "text", inputmode: "numeric", placeholder: "+ latent", "aria-label": "Show another latent", title: "Show another latent; press / to come here" });
  add.addEventListener("keydown", (event) => {
    if (event.key === "Escape") list.focus();
    if (event.key !== "Enter" || !add.value.trim()) return;
    const latent = Number(add.value.trim());
    if (!Number.isInteger(latent) || latent < 0) return alert.say("A latent is a whole number from 0 on.");
    alert.say("");
    request("add", { latent }).then(() => { add.value = ""; }).catch((e) => alert.say(e.message));
  });
  const list = h("div", {
    class: "sl-sequences", role: "listbox", tabindex: "0",
    "aria-label": "Tokens. Arrow keys move, shift and arrow keys mark a span, Enter pins the facts of a token, Escape clears.",
  });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  const found = h("div", { class: "sl-found", hidden: true });
  const tip = tooltip(view, abort.signal);

  /** @type {{ row: Element, spans: HTMLElement[], values: Float32Array, offset: number }[]} */
  let drawn = [];

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }

  const column = () => Math.max(0, model.get("latents").indexOf(model.get("latent") ?? -1));

  function drawChips() {
    const names = model.get("names");
    chips.replaceChildren(
      ...model.get("latents").map((latent, i) => {
        const node = button(names[i] ? `${latent} ${names[i]}` : String(latent), `Show latent ${latent}`, () => set({ latent }));
        node.setAttribute("aria-pressed", String(i === column()));
        return node;
      }),
    );
  }

  function drawTokens() {
    const all = floats(model.get("values"));
    const sequences = model.get("sequences");
    const total = sequences.reduce((n, s) => n + s.ids.length, 0);
    let offset = 0;
    drawn = sequences.map((text, i) => {
      const begin = column() * total + offset;
      const values = all.subarray(begin, begin + text.ids.length);
      const spans = tokens(text, values, bar.range());
      spans.forEach((span) => {
        span.setAttribute("role", "option");
        span.dataset.row = String(i);
      });
      const body = h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans);
      const index = model.get("first") + i;
      const row = h("div", { class: "sl-sequence" }, h("div", { class: "sl-name", title: text.name ?? "" }, text.name || String(index)), h("div", {}, body));
      const mine = { row, spans, values, offset };
      offset += text.ids.length;
      return mine;
    });
    list.replaceChildren(...drawn.map((d) => d.row));
    list.classList.toggle("sl-single", model.get("n_sequences") === 1);
    drawSelection();
  }

  function drawPager() {
    const [page, pages] = [model.get("page"), model.get("n_pages")];
    pager.hidden = pages <= 1;
    const go = (/** @type {number} */ to) => { request("page", { page: to }).catch((e) => alert.say(e.message)); };
    const back = button("‹", "Previous page", () => go(page - 1));
    const on = button("›", "Next page", () => go(page + 1));
    back.disabled = page <= 0;
    on.disabled = page >= pages - 1;
    const last = model.get("first") + model.get("sequences").length;
    pager.replaceChildren(
      back, on,
      h("span", { class: "sl-muted" }, `texts ${count(model.get("first"))}–${count(last - 1)} of ${count(model.get("n_sequences"))}`),
    );
  }

  /** @param {number} row @param {number} position */
  function spanAt(row, position) {
    return drawn[row]?.spans.find((s) => Number(s.dataset.start) <= position && position < Number(s.dataset.stop));
  }

  /** Facts of one token, for the tip and the status line. @param {number} row @param {number} position */
  function describe(row, position) {
    const text = model.get("sequences")[row];
    const percentiles = floats(model.get("percentiles"));
    const total = model.get("sequences").reduce((n, s) => n + s.ids.length, 0);
    const percentile = percentiles[column() * total + drawn[row].offset + position];
    /** @type {[string, string | Node][]} */
    const pairs = [
      ["token", chip(labelOf(text, position))],
      ["id", String(text.ids[position])],
      ["position", String(position)],
      ["activation", show(drawn[row].values[position])],
    ];
    if (percentile !== undefined && !Number.isNaN(percentile)) pairs.push(["percentile", show(100 * percentile, 4)]);
    if (text.special?.includes(position)) pairs.push(["", "not counted: special token"]);
    return pairs;
  }

  function drawSelection() {
    const row = (model.get("selected_sequence") ?? -1) - model.get("first");
    const token = model.get("selected_token");
    const span = model.get("selected_span");
    for (const [i, { spans }] of drawn.entries()) {
      for (const s of spans) {
        const [a, b] = [Number(s.dataset.start), Number(s.dataset.stop)];
        s.setAttribute("aria-selected", String(i === row && token !== null && a <= token && token < b));
        s.classList.toggle("sl-in-span", !!span && span[0] - model.get("first") === i && a < span[2] && b > span[1]);
      }
    }
    status.replaceChildren();
    if (row >= 0 && token !== null && drawn[row] && token < drawn[row].values.length) {
      for (const [name, value] of describe(row, token)) {
        status.append(h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));
      }
      if (span) status.append(h("span", {}, `span ${span[1]}–${span[2] - 1}`));
    } else if (span) {
      status.append(`span: tokens ${span[1]}–${span[2] - 1} of text ${span[0]}`);
    } else {
      status.append("Click a token, or drag over several.");
    }
    found.hidden = !span;
  }

  /** @param {number[]} span */
  function ask(span) {
    found.replaceChildren();
    if (!model.get("can_ask")) return;
    request("span", { sequence: span[0], start: span[1], stop: span[2] })
      .then((/** @type {{ latent: number, inside: number, outside: number, max: number }[]} */ rows) => {
        found.append(h("span", { class: "sl-muted" }, rows.length ? "fire here and least elsewhere in this text:" : "No latent fires here."));
        for (const r of rows) {
          found.append(button(String(r.latent), `Latent ${r.latent}: fires on ${r.inside} tokens of the span and ${r.outside} others, at most ${show(r.max)}. Click to show it.`,
            () => request("add", { latent: r.latent }).catch((e) => alert.say(e.message))));
        }
      })
      .catch((/** @type {Error} */ e) => found.append(h("span", { class: "sl-muted" }, e.message)));
  }
  const askSoon = throttle(ask, 250, abort.signal);

  // ---------------------------------------------------------------- pointer

  /** @type {{ row: number, start: number, stop: number, from: HTMLElement } | null} */
  let drag = null;
  const tokenOf = (/** @type {Event} */ event) =>
    /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest?.(".sl-tok") ?? null);

  list.addEventListener("pointerdown", (event) => {
    const token = tokenOf(event);
    if (!token || event.button !== 0) return;
    drag = { row: Number(token.dataset.row), start: Number(token.dataset.start), stop: Number(token.dataset.stop), from: token };
  });
  list.addEventListener("pointerover", (event) => {
    const token = tokenOf(event);
    if (!token) return tip.hide();
    const [row, a, b] = [Number(token.dataset.row), Number(token.dataset.start), Number(token.dataset.stop)];
    if (drag && row === drag.row && token !== drag.from) {
      const [start, stop] = [Math.min(a, drag.start), Math.max(b, drag.stop)];
      for (const s of drawn[row].spans) s.classList.toggle("sl-in-span", Number(s.dataset.start) < stop && Number(s.dataset.stop) > start);
      return tip.hide();
    }
    const parts = [];
    for (let i = a; i < Math.min(b, a + 6); i += 1) parts.push(facts(describe(row, i)));
    tip.show(token, ...parts);
  });
  list.addEventListener("pointerleave", () => tip.hide());
  window.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const token = tokenOf(event);
    const from = drag;
    drag = null;
    if (!token || !list.contains(token) || Number(token.dataset.row) !== from.row) return drawSelection();
    const sequence = model.get("first") + from.row;
    if (token === from.from) {
      set({ selected_sequence: sequence, selected_token: from.start, selected_span: null });
    } else {
      const span = [sequence, Math.min(from.start, Number(token.dataset.start)), Math.max(from.stop, Number(token.dataset.stop))];
      set({ selected_sequence: sequence, selected_token: span[1], selected_span: span });
    }
  }, { signal: abort.signal });

  // --------------------------------------------------------------- keyboard

  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.key !== "/" || event.ctrlKey || event.metaKey || add.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    add.focus();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { // the facts stay until the next key or move
      const row = (model.get("selected_sequence") ?? -1) - model.get("first"), token = model.get("selected_token");
      const span = token === null ? undefined : spanAt(row, token);
      if (span) tip.show(span, facts(describe(row, token ?? 0)));
      event.preventDefault();
      return event.stopPropagation();
    }
    if (event.key === "Escape") {
      tip.hide();
      set({ selected_sequence: null, selected_token: null, selected_span: null });
      return event.stopPropagation();
    }
    const step = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] })[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const sequences = model.get("sequences");
    if (!sequences.length) return;
    let row = (model.get("selected_sequence") ?? -1) - model.get("first");
    let token = model.get("selected_token");
    if (!sequences[row] || token === null) [row, token] = [0, 0];
    else {
      const rtl = direction(sequences[row].text.join("")) === "rtl" ? -1 : 1; // an arrow key moves the way it points
      if (event.shiftKey && step[1]) return extend(row, token, step[1] * rtl);
      row = Math.min(Math.max(row + step[0], 0), sequences.length - 1);
      token = Math.min(Math.max(token + step[1] * rtl, 0), sequences[row].ids.length - 1);
    }
    set({ selected_sequence: model.get("first") + row, selected_token: token, selected_span: null });
    spanAt(row, token)?.scrollIntoView?.({ block: "nearest" });
  });

  /** @param {number} row @param {number} token @param {number} by */
  function extend(row, token, by) {
    const sequence = model.get("first") + row;
    const span = model.get("selected_span");
    const anchor = span && span[0] === sequence ? (span[1] === token ? span[2] - 1 : span[1]) : token;
    const next = Math.min(Math.max(token + by, 0), model.get("sequences")[row].ids.length - 1);
    set({ selected_token: next, selected_span: [sequence, Math.min(anchor, next), Math.max(anchor, next) + 1] });
  }

  // ------------------------------------------------------------------ wiring

  const redraw = throttle(() => {
    drawChips();
    bar.draw();
    drawTokens();
    drawPager();
  }, 0, abort.signal); // several traits of one update make one drawing
  for (const key of /** @type {const} */ (["latent", "latents", "names", "sequences", "values", "percentiles", "maxima", "vmin", "vmax", "page", "n_pages"])) {
    model.on(`change:${key}`, redraw);
  }
  for (const key of /** @type {const} */ (["selected_sequence", "selected_token", "selected_span"])) model.on(`change:${key}`, drawSelection);
  model.on("change:selected_span", () => {
    const span = model.get("selected_span");
    found.replaceChildren();
    if (span) askSoon(span);
  });
  const asking = () => { add.hidden = !model.get("can_ask"); };
  model.on("change:can_ask", asking);
  const white = () => {
    space.checked = model.get("show_whitespace");
    list.classList.toggle("sl-show-space", space.checked);
  };
  model.on("change:show_whitespace", white);

  view.append(
    alert.box,
    h("div", { class: "sl-bar" },
      h("span", { class: "sl-muted" }, "latent"), chips, add, h("span", { class: "sl-grow" }),
      h("label", { class: "sl-check sl-small" }, space, "spaces"),
      bar.node, figureMenu(view, () => `latent-${model.get("latent") ?? ""}-heatmap`, alert.say)),
    list, pager, status, found,
  );
  el.append(view);
  drawChips();
  bar.draw();
  drawTokens();
  drawPager();
  white();
  asking();
  return () => abort.abort();
}

export default { render };
