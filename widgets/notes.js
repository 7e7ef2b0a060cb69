/** Label and note of a latent, and who or what wrote the label. */
import { focused, h, throttle } from "./dom.js";

/** @param {Ui<Dashboard>} ui */
export function notes({ state, ask, signal }) {
  const label = h("input", { class: "sl-input", type: "text", placeholder: "Label", "aria-label": "Label of this latent", maxlength: 200 });
  const text = h("textarea", { class: "sl-input", rows: 2, placeholder: "Note", "aria-label": "Note on this latent" });
  const source = h("p", { class: "sl-read sl-muted sl-small", title: "Who or what wrote this label, and its score" });
  const node = h("div", { class: "sl-notes" });
  let writing = state.latent; // the latent the fields belong to, whatever is opened meanwhile
  const save = () => {
    const same = label.value === state.label && text.value === state.note && writing === state.latent;
    if (!state.read_only && !same) ask("save", { latent: writing, label: label.value, note: text.value });
  };
  const saveSoon = throttle(save, 700, signal);
  for (const field of [label, text]) {
    field.addEventListener("input", saveSoon);
    field.addEventListener("change", save);
  }
  const read = (/** @type {string} */ written, more = "") => (written ? [h("p", { class: `sl-read${more}` }, written)] : []);

  function draw() {
    if (state.read_only) {
      node.replaceChildren(...read(state.label, " sl-label"), ...read(state.source, " sl-muted sl-small"), ...read(state.note));
      node.hidden = !node.firstChild;
      return;
    }
    if (!node.firstChild) node.append(label, source, text);
    source.textContent = state.source;
    source.hidden = !state.source;
    const same = writing === state.latent;
    writing = state.latent;
    // what is being typed is not replaced by an echo of it
    if (!same || !focused(label)) label.value = state.label;
    if (!same || !focused(text)) text.value = state.note;
  }
  return { node, draw };
}
