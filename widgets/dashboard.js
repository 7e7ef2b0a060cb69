/** LatentDashboard: one latent of an index. */
import { ablationBox } from "./ablation.js";
import { alertBox } from "./alert.js";
import { barRow, histogram } from "./chart.js";
import { button, column, count, h, root, show, throttle, typing } from "./dom.js";
import { figureMenu } from "./figure.js";
import { promptBox } from "./prompt.js";
import { requests } from "./rpc.js";
import { scale } from "./scale.js";
import { chip, direction, labelOf, tokens } from "./text.js";
import { facts, tooltip } from "./tip.js";

/**
 * @typedef {import("./text.js").TokenText} TokenText
 * @typedef {{ text: TokenText, values: number[], centre: number, start: number, row: number, position: number, doc: number, value: number, count: number }} Example
 * @typedef {{ latent: number, similarity: number, label: string, token: string | null }} Neighbour
 * @typedef {{ reason: string }} Reason
 * @typedef {object} Payload
 * @property {number} latent
 * @property {number} d_sae
 * @property {number} counted
 * @property {number} excluded
 * @property {Record<string, number | null>} stats
 * @property {number | null} [decoder_norm]
 * @property {import("./chart.js").Histogram} histogram
 * @property {{ top: Example[], random: Example[] }} examples
 * @property {{ up: [string, number][], down: [string, number][] } | Reason} logits
 * @property {Record<"decoder" | "encoder" | "coactivation", Neighbour[] | Reason>} nearest
 * @typedef {"top" | "interval" | "random"} Tab
 * @typedef {object} State
 * @property {number} latent
 * @property {Payload} payload
 * @property {Tab} tab
 * @property {[number, number] | null} brush
 * @property {number | null} selected_sequence
 * @property {number | null} selected_token
 * @property {boolean} show_whitespace
 * @property {number | null} vmin
 * @property {number | null} vmax
 * @property {string} prompt
 * @property {import("./prompt.js").Tried} tried
 * @property {Partial<import("./ablation.js").Ablated>} ablated
 * @property {string} cannot_try
 * @property {string} label
 * @property {string} note
 * @property {number[] | null} available in a saved page: the latents it holds
 * @property {boolean} read_only
 * @property {{ message?: string, traceback?: string }} error
 */

const MEANING = /** @type {Record<string, string>} */ ({
  mean: "mean activation where it fires",
  mean_sq: "E[a²] over all counted tokens",
  skew: "E[a³] / E[a²]^1.5 over all counted tokens",
  kurtosis: "E[a⁴] / E[a²]² over all counted tokens",
});

/**
 * Tabs that look alike everywhere.
 * @template {string} K
 * @param {string} label @param {[K, string][]} names @param {K} chosen @param {(key: K) => void} choose
 */
function tabs(label, names, chosen, choose) {
  return h("div", { class: "sl-tabs", role: "tablist", "aria-label": label }, ...names.map(([key, name]) => {
    const node = h("button", { type: "button", role: "tab", "aria-selected": String(key === chosen), tabindex: key === chosen ? 0 : -1 }, name);
    node.addEventListener("click", () => choose(key));
    return node;
  }));
}

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("dashboard", "Latent dashboard");
  const alert = alertBox(model);
  const tip = tooltip(view, abort.signal);

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }
  const data = () => model.get("payload");
  const fires = () => (data().stats.n ?? 0) > 0;
  const ends = scale(model, () => Math.max(data().stats.max ?? 0, model.get("vmin") ?? 0), "Keep this scale for every latent");
  const fail = (/** @type {Error} */ e) => alert.say(e.message);

  // ------------------------------------------------------------------ which latent

  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", "aria-label": "Latent", title: "Latent; press / to come here" });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") open(Number(box.value.trim() || NaN));
    if (event.key === "Escape") { box.value = String(model.get("latent")); view.focus(); }
  });
  const of = h("span", { class: "sl-muted sl-of" });
  const back = button("‹", "Previous latent (←)", () => step(-1));
  const on = button("›", "Next latent (→)", () => step(1));
  const any = button("random", "A random latent that fires", () => step("random"));

  /** @param {number} latent */
  function open(latent) {
    const held = model.get("available");
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= data().d_sae) {
      alert.say(`A latent is a whole number from 0 to ${data().d_sae - 1}.`);
    } else if (held && !held.includes(latent)) {
      alert.say(`Latent ${latent} is not in this page; it holds ${held.join(", ")}.`);
    } else {
      request("open", { latent }).catch(fail);
      return;
    }
    box.value = String(model.get("latent"));
  }

  /** @param {number | "random"} by */
  function step(by) {
    const held = model.get("available");
    alert.say("");
    if (!held) return void request("step", { by }).catch(fail);
    if (held.length < 2) return;
    const at = held.indexOf(model.get("latent"));
    const jump = by === "random" ? 1 + Math.floor(Math.random() * (held.length - 1)) : by;
    open(held[(at + jump + held.length) % held.length]);
  }

  // ---------------------------------------------------------------- label and note

  const label = h("input", { class: "sl-input", type: "text", placeholder: "Label", "aria-label": "Label of this latent", maxlength: 200 });
  const note = h("textarea", { class: "sl-input", rows: 2, placeholder: "Note", "aria-label": "Note on this latent" });
  const notes = h("div", { class: "sl-notes" });
  let writing = model.get("latent"); // the latent the fields belong to, whatever is opened meanwhile
  const save = () => {
    if (model.get("read_only") || (label.value === model.get("label") && note.value === model.get("note") && writing === model.get("latent"))) return;
    request("save", { latent: writing, label: label.value, note: note.value }).catch(fail);
  };
  const saveSoon = throttle(save, 700, abort.signal);
  for (const field of [label, note]) {
    field.addEventListener("input", saveSoon);
    field.addEventListener("change", save);
  }
  function drawNotes() {
    if (model.get("read_only")) {
      const [a, b] = [model.get("label"), model.get("note")];
      notes.replaceChildren(...(a ? [h("p", { class: "sl-read sl-label" }, a)] : []), ...(b ? [h("p", { class: "sl-read" }, b)] : []));
      notes.hidden = !a && !b;
      return;
    }
    if (!notes.firstChild) notes.append(label, note);
    const same = writing === model.get("latent");
    writing = model.get("latent");
    // what is being typed is not replaced by an echo of it
    if (!same || label.getRootNode && /** @type {Document} */ (label.getRootNode()).activeElement !== label) label.value = model.get("label");
    if (!same || label.getRootNode && /** @type {Document} */ (note.getRootNode()).activeElement !== note) note.value = model.get("note");
  }

  // --------------------------------------------------------------- left column

  const stats = h("dl", { class: "sl-stats" });
  const chart = h("div");
  const near = h("section");
  let by = /** @type {"decoder" | "encoder" | "coactivation"} */ ("decoder");

  function drawStats() {
    const { stats: s, counted, excluded, decoder_norm: length } = data();
    const percent = (/** @type {number | null} */ v) => (v === null ? "–" : show(100 * v));
    /** @type {[string, string, string, string][]} */
    const lines = [
      ["tokens counted", count(counted), excluded ? `+ ${count(excluded)} special, left out` : "", "Positions all numbers are about"],
      ["fires on", count(s.n ?? 0), "", "Positions with an activation above 0"],
      ["density", `${percent(s.density)} %`, `${percent(s.density_lo)} – ${percent(s.density_hi)}`, "Share of the counted tokens, with its 95 % interval (Wilson)"],
    ];
    if (fires()) {
      lines.push(["mean, max", `${show(s.mean)}, ${show(s.max)}`, "", MEANING.mean]);
      lines.push(["E[a²]", show(s.mean_sq), "", MEANING.mean_sq]);
      lines.push(["skew, kurtosis", `${show(s.skew)}, ${show(s.kurtosis)}`, "", `${MEANING.skew}; ${MEANING.kurtosis}`]);
    }
    if (length !== undefined && length !== null) {
      const folded = Math.abs(length - 1) < 0.01;
      lines.push(["decoder row", `length ${folded ? "1" : show(length)}`, folded ? "" : "not folded", folded
        ? "Activations are in units of a decoder row of length 1"
        : "Public dashboards may show activations times this length: sae.fold_norms() does that"]);
    }
    stats.replaceChildren(...lines.flatMap(([name, value, more, title]) => [
      h("dt", { title }, name),
      h("dd", { title }, value, more ? h("small", {}, ` ${more}`) : null),
    ]));
  }

  function drawChart() {
    chart.replaceChildren();
    if (!fires()) return;
    chart.append(h("h3", {}, "Activations, log counts; drag to see a range"),
      histogram(data().histogram, { brush: model.get("brush"), tip, onBrush: (brush) => set({ brush, tab: brush ? "interval" : "top" }) }));
  }

  function drawNear() {
    const found = data().nearest[by];
    near.replaceChildren(
      h("div", { class: "sl-bar" }, h("h3", {}, "Nearest latents by"),
        tabs("Kind of neighbour", [["decoder", "decoder"], ["encoder", "encoder"], ["coactivation", "co-activation"]], by, (k) => { by = k; drawNear(); })),
    );
    if (!Array.isArray(found)) return near.append(h("p", { class: "sl-muted sl-small" }, found.reason));
    if (!found.length) return near.append(h("p", { class: "sl-muted sl-small" }, "None."));
    const held = model.get("available");
    const rows = h("div", { class: "sl-rows" });
    for (const n of found) {
      const link = !held || held.includes(n.latent)
        ? h("button", { type: "button", class: "sl-link", title: `Open latent ${n.latent}` }, String(n.latent))
        : h("span", { title: "Not in this page" }, String(n.latent));
      link.addEventListener("click", () => { if (link.tagName === "BUTTON") open(n.latent); });
      const name = h("span", {}, link, " ");
      name.append(n.token === null ? h("span", { class: "sl-muted" }, "never fires ") : chip(n.token), " ");
      name.append(n.label);
      rows.append(...barRow(name, n.similarity, 1));
    }
    near.append(rows);
  }

  // --------------------------------------------------------------- right column

  const bar = h("div", { class: "sl-bar" });
  const list = h("div", { class: "sl-examples", role: "listbox", "aria-label": "Examples" });
  const votes = h("section");
  const space = h("input", { type: "checkbox" });
  space.addEventListener("change", () => set({ show_whitespace: space.checked }));
  const low = h("input", { class: "sl-input sl-number", type: "text", "aria-label": "Lowest activation" });
  const top = h("input", { class: "sl-input sl-number", type: "text", "aria-label": "Highest activation" });
  for (const field of [low, top]) {
    field.addEventListener("change", () => {
      const [a, b] = [Number(low.value), Number(top.value)];
      if (low.value.trim() !== "" && top.value.trim() !== "" && a <= b) set({ brush: [a, b], tab: "interval" });
      else drawBar("");
    });
  }
  /** @type {{ latent: number, range: string, examples: Example[], note: string } | null} */
  let interval = null;
  /** @type {{ latent: number, examples: Example[] } | null} */
  let sample = null;
  let seed = 0;

  function shown() {
    const tab = model.get("tab"), latent = data().latent;
    if (tab === "interval") return interval?.latent === latent ? interval.examples : [];
    if (tab === "random" && sample?.latent === latent) return sample.examples;
    return data().examples[tab];
  }

  /** @param {string} text */
  function drawBar(text) {
    const tab = model.get("tab");
    /** @type {Node[]} */
    const parts = [
      tabs("Examples", [["top", "Top"], ["interval", "Interval"], ["random", "Random"]], tab, (key) => {
        if (key === "interval" && !model.get("brush")) {
          const max = data().stats.max ?? 0;
          set({ tab: key, brush: [max / 4, max / 2] });
        } else set({ tab: key });
      }),
    ];
    if (tab === "interval") {
      const brush = model.get("brush");
      low.value = brush ? show(brush[0]) : "";
      top.value = brush ? show(brush[1]) : "";
      parts.push(h("span", { class: "sl-range" }, low, "to", top));
    }
    if (tab === "random" && !model.get("available")) parts.push(button("another sample", "Draw other examples", () => {
      seed += 1;
      request("random", { seed }).then((examples) => { sample = { latent: data().latent, examples }; drawExamples(); }).catch(fail);
    }));
    bar.replaceChildren(...parts, h("span", { class: "sl-muted sl-small" }, text), h("span", { class: "sl-grow" }),
      h("label", { class: "sl-check sl-small" }, space, "spaces"),
      ends.node, figure);
    ends.draw();
  }

  function drawExamples() {
    const tab = model.get("tab");
    bar.hidden = !fires();
    if (!fires()) {
      list.replaceChildren(h("div", { class: "sl-empty" }, `0 of ${count(data().counted)} tokens: never active in this sample.`));
      return;
    }
    drawBar(tab === "interval" ? interval?.note ?? "" : tab === "top" ? "strongest first" : "of all firings");
    list.replaceChildren(...shown().map(exampleRow));
    if (!shown().length && (tab !== "interval" || interval)) list.append(h("div", { class: "sl-empty" }, "No example in this range."));
    drawSelection();
  }

  /** @param {Example} e @param {number} i */
  function exampleRow(e, i) {
    const rtl = direction(e.text.text.join("")) === "rtl";
    const line = (/** @type {number} */ from, /** @type {number} */ to) =>
      h("bdi", { class: "sl-line", dir: rtl ? "rtl" : "ltr" }, ...tokens(e.text, e.values, { ...ends.range(), from, to }));
    // the activating token begins at the same place in every row; a right-to-left row is its mirror image
    const begin = groupStart(e.text, e.centre);
    const [before, rest] = [line(0, begin), line(begin, Infinity)];
    rest.firstElementChild?.classList.add("sl-centre");
    const row = h("div", { class: "sl-example", role: "option", "data-i": i, "aria-selected": "false" },
      h("span", { class: "sl-act" }, column(e.value)),
      h("span", { class: "sl-side sl-left" }, rtl ? rest : before),
      h("span", { class: "sl-side sl-right" }, rtl ? before : rest),
      h("span", { class: "sl-where", title: `document ${e.doc}, row ${e.row}, position ${e.position}${e.count > 1 ? `; this text occurs ${e.count} times` : ""}` },
        e.count > 1 ? h("b", {}, `×${count(e.count)}`) : null, `doc ${e.doc}`));
    return row;
  }

  /** @param {TokenText} text @param {number} position */
  function groupStart(text, position) {
    let start = 0;
    for (let i = 0; i < text.text.length; i += 1) {
      const stop = start + (text.size?.[i] ?? 1);
      if (position < stop) return start;
      start = stop;
    }
    return start;
  }

  function drawSelection() {
    const [row, token] = [model.get("selected_sequence"), model.get("selected_token")];
    for (const node of list.querySelectorAll(".sl-example")) {
      const e = shown()[Number(/** @type {HTMLElement} */ (node).dataset.i)];
      node.setAttribute("aria-selected", String(!!e && e.row === row && e.position === token));
    }
  }

  /** @param {number} i */
  function choose(i) {
    const e = shown()[i];
    if (e) set({ selected_sequence: e.row, selected_token: e.position });
  }

  /** Unfold or fold the whole row of an example. @param {number} i */
  function unfold(i) {
    const node = list.querySelector(`.sl-example[data-i="${i}"]`);
    const e = shown()[i];
    if (!node || !e) return;
    if (node.nextElementSibling?.classList.contains("sl-whole")) return node.nextElementSibling.remove();
    if (model.get("read_only")) return;
    request("row", { row: e.row }).then((/** @type {{ text: TokenText, values: number[] }} */ whole) => {
      if (!node.isConnected || node.nextElementSibling?.classList.contains("sl-whole")) return;
      node.after(h("div", { class: "sl-whole" }, h("bdi", { class: "sl-text", dir: direction(whole.text.text.join("")) }, ...tokens(whole.text, whole.values, ends.range()))));
    }).catch(fail);
  }

  list.addEventListener("click", (event) => {
    const node = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-example"));
    if (!node) return;
    const i = Number(node.dataset.i);
    choose(i);
    unfold(i);
    view.focus({ preventScroll: true });
  });
  list.addEventListener("pointerover", (event) => {
    const token = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-tok"));
    const row = /** @type {HTMLElement | null} */ (token?.closest(".sl-example"));
    const e = row ? shown()[Number(row.dataset.i)] : undefined;
    if (!token || !e) return tip.hide();
    const [a, b] = [Number(token.dataset.start), Number(token.dataset.stop)];
    tip.show(token, ...Array.from({ length: Math.min(b - a, 6) }, (_, k) => facts([
      ["token", chip(labelOf(e.text, a + k))], ["id", String(e.text.ids[a + k])],
      ["position", String(e.start + a + k)], ["activation", show(e.values[a + k])],
    ])));
  });
  list.addEventListener("pointerleave", () => tip.hide());

  function drawVotes() {
    const found = data().logits;
    votes.replaceChildren(h("h3", { title: "Change of the next-token logits per unit of activation, through the final norm's gain and the unembedding" }, "Votes of the decoder direction (logit lens)"));
    if ("reason" in found) return votes.append(h("p", { class: "sl-muted sl-small" }, found.reason));
    const most = Math.max(...[...found.up, ...found.down].map(([, v]) => Math.abs(v)), 1e-12);
    const side = (/** @type {[string, number][]} */ pairs, /** @type {string} */ kind) =>
      h("div", { class: "sl-rows" }, ...pairs.flatMap(([token, value]) => barRow(chip(token), value, most, kind)));
    votes.append(h("div", { class: "sl-votes" }, side(found.up, "sl-warm"), side(found.down, "")));
  }

  const figure = figureMenu(view, () => `latent-${model.get("latent")}`, alert.say);
  const ablation = ablationBox({
    model,
    example: () => {
      const e = shown().find((x) => x.row === model.get("selected_sequence") && x.position === model.get("selected_token"));
      const at = e ?? data().examples.top[0];
      return at ? { row: at.row, position: at.position, chosen: !!e } : null;
    },
    ask: (params) => { alert.say(""); request("ablate", params).catch(fail); },
  });
  const prompt = promptBox({ model, open, range: ends.range, tip, signal: abort.signal });

  // -------------------------------------------------------------------- interval

  function fetchInterval() {
    const brush = model.get("brush");
    if (!brush) { interval = null; return drawExamples(); }
    const latent = data().latent, range = brush.join();
    if (interval?.latent === latent && interval.range === range) return drawExamples();
    interval = null;
    drawExamples();
    const [lo, hi] = brush;
    const done = (/** @type {Example[]} */ examples, /** @type {string} */ text) => {
      if (data().latent !== latent || model.get("brush")?.join() !== range) return; // answered too late
      interval = { latent, range, examples, note: text };
      drawExamples();
    };
    if (model.get("available")) { // a saved page: what it holds of that range
      const all = [...data().examples.top, ...data().examples.random];
      const seen = new Set();
      const inside = all.filter((e) => e.value >= lo && e.value <= hi && !seen.has(`${e.row} ${e.position}`) && seen.add(`${e.row} ${e.position}`));
      return done(inside.sort((a, b) => b.value - a.value), "of the examples in this page");
    }
    request("interval", { lo, hi }).then((r) => done(r.examples, `of ${count(r.total)} firings`)).catch(fail);
  }

  // ---------------------------------------------------------------------- wiring

  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = shown().findIndex((e) => e.row === model.get("selected_sequence") && e.position === model.get("selected_token"));
    const actions = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      ArrowDown: () => choose(Math.min(i + 1, shown().length - 1)),
      ArrowUp: () => choose(Math.max(i - 1, 0)),
      Enter: () => unfold(i),
      Escape: () => { tip.hide(); set({ selected_sequence: null, selected_token: null }); },
      "/": () => { box.focus(); box.select(); },
      a: ablation.run,
    });
    const action = actions[event.key];
    if (!action || (event.key === "Enter" && /** @type {HTMLElement} */ (event.target).tagName === "BUTTON")) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });

  function drawHead() {
    const held = model.get("available");
    box.value = String(model.get("latent"));
    of.textContent = held ? `${held.indexOf(model.get("latent")) + 1} of ${held.length} here` : `of ${count(data().d_sae)}`;
    for (const node of [back, on, any]) node.disabled = !!held && held.length < 2;
  }

  function drawAll() {
    if (data().latent === undefined) return;
    tip.hide();
    drawHead();
    drawNotes();
    drawStats();
    drawChart();
    drawNear();
    drawExamples();
    drawVotes();
    prompt.draw();
    ablation.draw();
  }
  const redraw = throttle(() => { drawAll(); if (model.get("brush")) fetchInterval(); }, 0, abort.signal);
  for (const key of /** @type {const} */ (["payload", "vmin", "vmax", "read_only", "available"])) model.on(`change:${key}`, redraw);
  model.on("change:latent", drawHead);
  model.on("change:tried", prompt.changed);
  for (const key of /** @type {const} */ (["ablated", "cannot_try"])) model.on(`change:${key}`, ablation.draw);
  for (const key of /** @type {const} */ (["prompt", "cannot_try"])) model.on(`change:${key}`, prompt.draw);
  for (const key of /** @type {const} */ (["label", "note"])) model.on(`change:${key}`, drawNotes);
  model.on("change:tab", () => drawExamples());
  model.on("change:brush", () => { drawChart(); fetchInterval(); });
  for (const key of /** @type {const} */ (["selected_sequence", "selected_token"])) model.on(`change:${key}`, () => { drawSelection(); ablation.draw(); });
  const white = () => { space.checked = model.get("show_whitespace"); list.classList.toggle("sl-show-space", space.checked); };
  model.on("change:show_whitespace", white);

  view.append(alert.box, h("div", { class: "sl-columns" },
    h("aside", {}, h("div", { class: "sl-head" }, h("h2", {}, "Latent"), box, of, h("span", { class: "sl-grow" }), back, on, any), notes, stats, chart, near),
    h("div", { class: "sl-main" }, h("section", {}, bar, list), prompt.node, ablation.node, votes)));
  el.append(view);
  white();
  drawAll();
  if (model.get("brush")) fetchInterval();
  return () => abort.abort();
}

export default { render };
