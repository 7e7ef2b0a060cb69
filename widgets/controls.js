/** Controls that several widgets have: tabs, ticks, fields, keys, selections. */
import { h } from "./dom.js";

/**
 * Tabs that look alike everywhere; as a `group` they are switches and not tabs.
 * @template {string} K
 * @param {string} label @param {[K, string, string?][]} names key, text, meaning @param {(key: K) => void} choose @param {"tablist" | "group"} [role]
 */
export function tabs(label, names, choose, role = "tablist") {
  const all = names.map(([key, name, title]) => {
    const node = h("button", { type: "button", role: role === "tablist" ? "tab" : null, title }, name);
    node.addEventListener("click", () => choose(key));
    return node;
  });
  /** @param {K} chosen */
  const mark = (chosen) => names.forEach(([key], i) => {
    for (const name of ["aria-selected", ...(role === "group" ? ["aria-pressed"] : [])]) all[i].setAttribute(name, String(key === chosen));
  });
  return { node: h("span", { class: "sl-tabs", role, "aria-label": label }, ...all), mark };
}

/** A tick. @param {string} text @param {(on: boolean) => void} set @param {Attributes} [more] */
export function check(text, set, more = {}) {
  const input = h("input", { type: "checkbox" });
  input.addEventListener("change", () => set(input.checked));
  return { input, node: h("label", { class: "sl-check sl-small", ...more }, input, text) };
}

/** A field for a number. @param {string} label @param {Attributes} [more] */
export const numberField = (label, more = {}) =>
  h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": label, ...more });

/** What Enter and Escape do in a field. @param {HTMLElement} field @param {() => void} enter @param {() => void} [escape] */
export function onEnter(field, enter, escape) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") enter();
    if (event.key === "Escape") escape?.();
  });
}

/**
 * The latent that a field names; null, with a message of what there is, if it names none.
 * @param {HTMLInputElement} field @param {(message: string) => void} say @param {number} [d_sae]
 */
export function latentIn(field, say, d_sae = Infinity) {
  const latent = Number(field.value.trim() || NaN);
  const known = Number.isInteger(latent) && latent >= 0 && latent < d_sae;
  say(known ? "" : d_sae === Infinity ? "A latent is a whole number from 0 on." : `A latent is a whole number from 0 to ${d_sae - 1}.`);
  return known ? latent : null;
}

/** Whether a key press belongs to a text field. @param {Event} event */
export const typing = (event) => ["INPUT", "TEXTAREA", "SELECT"].includes(/** @type {Element} */ (event.target).tagName);

/** Whether a key press would press a button. @param {Event} event */
export const onButton = (event) => /** @type {Element} */ (event.target).tagName === "BUTTON";

/** Whether a key was pressed alone, or with the shift key. @param {KeyboardEvent} event */
export const alone = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

/**
 * The keys of a widget. What is typed into a field stays there, and a key that does something goes no further.
 * @param {HTMLElement} node @param {(event: KeyboardEvent) => (() => void) | undefined | false} find what a key does
 */
export function onKeys(node, find) {
  node.addEventListener("keydown", (event) => {
    const action = find(event);
    if (action || typing(event)) event.stopPropagation();
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** A list with an item taken in, or out if it is there. @param {number[]} list @param {number} item */
export const toggled = (list, item) => (list.includes(item) ? list.filter((x) => x !== item) : [...list, item]);

/** Cells of a table's row. @param {"td" | "th"} tag @param {(Node | string | (Node | string)[])[]} cells @param {(i: number) => Attributes} [more] */
export const tableRow = (tag, cells, more = () => ({})) => h("tr", {}, ...cells.map((cell, i) => h(tag, more(i), ...[cell].flat())));
