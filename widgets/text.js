/** Tokens as text: one element per whole piece, indices kept per token, nothing ever parsed as markup. */
import { clamp, h } from "./dom.js";

const MARKS = /** @type {Record<string, string>} */ ({ "\n": "↵", "\r": "␍", "\t": "⇥", " ": "·", "\u00a0": "⍽" });
const APART = /([\n\r\t \u00a0]|(?:\\x[0-9a-f]{2})+)/;
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const LETTER = /[A-Za-z\u00c0-\u02af\u0370-\u08ff\u0900-\u1fff\u3040-\ud7ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** Direction of a text's first letter; special tokens and escaped bytes have none. @param {string | TokenText} text @returns {"ltr" | "rtl"} */
export function direction(text) {
  const said = typeof text === "string" ? text : groups(text).map((g) => (text.special?.includes(g.start) ? "" : g.text)).join("");
  return RTL.test(said.replace(/<\|\w+\|>|\\x[0-9a-f]{2}/g, "").match(LETTER)?.[0] ?? "") ? "rtl" : "ltr";
}

/** Text with its white space marked by CSS, so that selecting and copying gives the text; an escaped byte is not read backwards. @param {string} text */
export function marked(text) {
  if (!APART.test(text)) return [text];
  return text.split(APART).filter(Boolean).map((part) => (part.startsWith("\\x") ? h("bdi", { dir: "ltr" }, part) : MARKS[part] === undefined ? part
    : h("span", { class: part === " " ? "sl-ws sl-space" : "sl-ws", "data-mark": MARKS[part] }, part)));
}

/** A single token for a label, list or node: visible white space, never empty. @param {string} label */
export function chip(label) {
  // an escaped byte beside right-to-left letters would be read backwards
  const dir = label.includes("\\x") ? "ltr" : null;
  const node = h("code", { class: "sl-chip" }, h("bdi", { dir }, ...marked(label)));
  if (!label) node.append("(empty)");
  return node;
}

/** What stands beside a latent's number: its strongest token and its label. @param {string | null | undefined} token null: it never fires @param {string} [label] */
export const called = (token, label) => [
  ...(token === undefined || token === "" ? [] : [token === null ? h("span", { class: "sl-muted" }, "never fires") : chip(token)]),
  ...(label ? [" ", h("bdi", {}, label)] : [])];

/** @param {TokenText} text @returns {{ start: number, stop: number, text: string }[]} */
export function groups(text) {
  let start = 0;
  return text.text.map((piece, i) => {
    const group = { start, stop: start + (text.size?.[i] ?? 1), text: piece };
    start = group.stop;
    return group;
  });
}

/** @param {TokenText} text @param {number} position */
export const groupAt = (text, position) => groups(text).find((g) => g.start <= position && position < g.stop);

/** @param {TokenText} text @param {number} position */
export const labelOf = (text, position) => text.labels?.[String(position)] ?? groupAt(text, position)?.text ?? "";

/** Whether a span of tokens covers a position. @param {HTMLElement} span @param {number | null} position */
export const covers = (span, position) =>
  position !== null && Number(span.dataset.start) <= position && position < Number(span.dataset.stop);

/** Say which of the elements is selected. @template {Element} E @param {Iterable<E>} nodes @param {(node: E) => boolean} chosen */
export function select(nodes, chosen) {
  for (const node of nodes) node.setAttribute("aria-selected", String(chosen(node)));
}

/** Tokens as a text that runs the way it begins. @param {TokenText} text @param {Node[]} spans */
export const paragraph = (text, spans) => h("bdi", { class: "sl-text", dir: direction(text) }, ...spans);

/**
 * Shade of a value between 0 and 1. What is positive never quite vanishes: "fires weakly" is not "is silent".
 * @param {number} value @param {number} low @param {number} high
 */
export function shade(value, low, high) {
  if (!(value > low)) return 0;
  return high > low ? clamp(0.07 + (0.93 * (value - low)) / (high - low), 0, 1) : 1;
}

/**
 * Token elements of a text. A group's shade is that of its strongest token.
 * @param {TokenText} text
 * @param {ArrayLike<number>} values one per token
 * @param {{ low?: number, high: number, from?: number, to?: number }} scale `from`/`to`: only these positions
 */
export function tokens(text, values, { low = 0, high, from = 0, to = Infinity }) {
  const special = new Set(text.special ?? []);
  const out = [];
  for (const { start, stop, text: piece } of groups(text)) {
    if (start < from || start >= to) continue;
    let value = -Infinity;
    for (let i = start; i < stop; i += 1) value = Math.max(value, values[i] ?? 0);
    const apart = special.has(start);
    const node = h(apart ? "bdi" : "span", { class: "sl-tok", "data-start": start, "data-stop": stop, dir: apart ? "ltr" : null }, ...marked(piece));
    node.classList.toggle("sl-special", apart);
    if (Number.isNaN(value)) node.classList.add("sl-nan"); // neither silent nor active
    const a = shade(value, low, high);
    if (a > 0) {
      node.style.setProperty("--a", a.toFixed(3));
      node.classList.add("sl-hot");
    }
    out.push(node);
  }
  return out;
}
