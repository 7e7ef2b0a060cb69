/** The prompt box of a dashboard: a text of your own, and what fires on it while it is typed. */
import { barRow } from "./chart.js";
import { h, show, throttle } from "./dom.js";
import { chip, direction, labelOf, tokens } from "./text.js";
import { facts } from "./tip.js";

/**
 * @typedef {import("./text.js").TokenText} TokenText
 * @typedef {{ prompt?: string, text?: TokenText, strongest?: [number, number][][], labels?: Record<string, string>, latent?: number, values?: number[] }} Tried
 */

/**
 * @param {object} of
 * @param {{ get(key: any): any, set(key: any, value: any): void, save_changes(): void }} of.model
 * @param {(latent: number) => void} of.open
 * @param {() => { low: number, high: number }} of.range
 * @param {ReturnType<typeof import("./tip.js").tooltip>} of.tip
 * @param {AbortSignal} of.signal
 */
export function promptBox({ model, open, range, tip, signal }) {
  const field = h("textarea", { class: "sl-input", rows: 1, placeholder: "Type a text and see what fires on it", "aria-label": "A text of your own", spellcheck: "false" });
  const line = h("div", { class: "sl-tried" });
  const list = h("div", { class: "sl-fires" });
  const node = h("section", { class: "sl-prompt" }, h("h3", {}, "Try a text"), field, line, list);
  let token = -1; // the token whose latents are listed; -1: chosen by us

  const send = throttle(() => {
    if (field.value === model.get("prompt")) return;
    model.set("prompt", field.value);
    model.save_changes();
  }, 120, signal);
  const fit = () => { field.rows = Math.min(5, 1 + Math.floor(field.value.length / 90) + (field.value.match(/\n/g)?.length ?? 0)); };
  field.addEventListener("input", () => { fit(); send(); });

  /** @returns {Tried} */
  const found = () => model.get("tried") ?? {};

  function draw() {
    const readOnly = model.get("read_only"), reason = model.get("cannot_try");
    const { text, values = [], strongest = [] } = found();
    node.hidden = readOnly && !text;
    field.hidden = readOnly || !!reason;
    const root = /** @type {Document} */ (field.getRootNode());
    if (root.activeElement !== field) field.value = model.get("prompt");
    fit();
    if (reason && !readOnly) return line.replaceChildren(h("p", { class: "sl-muted sl-small" }, reason));
    if (!text) {
      line.replaceChildren();
      return list.replaceChildren();
    }
    const spans = tokens(text, values, range());
    line.replaceChildren(h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans));
    if (token >= text.ids.length) token = -1;
    drawList(token < 0 ? lastStrong(values, strongest) : token);
  }

  /** Where this latent is strongest, else the last token on which anything fires. @param {number[]} values @param {[number, number][][]} strongest */
  function lastStrong(values, strongest) {
    const most = Math.max(0, ...values);
    if (most > 0) return values.indexOf(most);
    for (let i = strongest.length - 1; i >= 0; i -= 1) if (strongest[i].length) return i;
    return strongest.length - 1;
  }

  /** @param {number} at */
  function drawList(at) {
    const { text, strongest = [], labels = {}, values = [] } = found();
    if (!text) return;
    const span = [...line.querySelectorAll(".sl-tok")].find((s) => Number(/** @type {HTMLElement} */ (s).dataset.stop) > at);
    for (const s of line.querySelectorAll(".sl-tok")) s.setAttribute("aria-selected", String(s === span));
    const fires = strongest[at] ?? [];
    const rows = h("div", { class: "sl-rows" });
    const most = fires[0]?.[1] ?? 1;
    for (const [latent, value] of fires) {
      const link = h("button", { type: "button", class: "sl-link", title: `Open latent ${latent}` }, String(latent));
      link.addEventListener("click", () => open(latent));
      const name = h("span", {}, link, " ", h("bdi", {}, labels[String(latent)] ?? ""));
      rows.append(...barRow(latent === model.get("latent") ? h("b", {}, name) : name, value, most, "sl-warm"));
    }
    const own = values[at];
    const special = text.special?.includes(at);
    list.replaceChildren(
      h("p", { class: "sl-muted sl-small" }, "on ", chip(labelOf(text, at)), special ? ": not counted, a special token" : fires.length ? " fire" : ": no latent fires", own > 0 ? `; this latent ${show(own)}` : ""), rows);
  }

  line.addEventListener("click", (event) => {
    const span = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-tok"));
    if (!span) return;
    token = Number(span.dataset.start);
    drawList(token);
  });
  line.addEventListener("pointerover", (event) => {
    const span = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".sl-tok"));
    const { text, values = [], strongest = [] } = found();
    if (!span || !text) return tip.hide();
    const [a, b] = [Number(span.dataset.start), Number(span.dataset.stop)];
    tip.show(span, ...Array.from({ length: Math.min(b - a, 4) }, (_, k) => facts([
      ["token", chip(labelOf(text, a + k))], ["id", String(text.ids[a + k])], ["position", String(a + k)], ["this latent", show(values[a + k] ?? 0)],
      ["strongest", strongest[a + k]?.length ? strongest[a + k].slice(0, 3).map(([latent, v]) => `${latent} (${show(v)})`).join(", ") : "none"],
    ])));
  });
  line.addEventListener("pointerleave", () => tip.hide());
  return { node, draw, changed: () => { token = -1; draw(); } };
}
