/** Forms for edits of a node that need more than its place: tokens, a gap, a value; and what the model says. */
import { check, numberField } from "./controls.js";
import { button, h, many, note, show } from "./dom.js";
import { chip } from "./text.js";

/**
 * Tokens from a list with what each would gain, or found in the vocabulary.
 * @param {Ui<N2G>} ui @param {string} name @param {(ids: number[]) => void} chosen
 * @param {number | null} node of which the text suggests some
 */
function tokenList({ ask }, name, chosen, node) {
  /** @type {Set<number>} */
  const ids = new Set();
  const list = h("div", { class: "sl-choices", role: "group", "aria-label": name });
  const search = h("input", { class: "sl-input", type: "search", placeholder: "find a token", "aria-label": "Find a token" });
  const line = (/** @type {{ token: number, text: string, tp?: number, fp?: number }} */ s) => {
    const tick = check("", (on) => {
      if (on) ids.add(s.token);
      else ids.delete(s.token);
      chosen([...ids]);
    }, { class: "sl-check sl-choice" });
    tick.input.checked = ids.has(s.token);
    tick.node.append(chip(s.text));
    if (s.tp !== undefined) tick.node.append(h("span", { class: "sl-muted sl-small" }, `${many(s.tp, "hit")}, ${many(s.fp ?? 0, "false alarm")}`));
    return tick.node;
  };
  const none = () => h("span", { class: "sl-muted sl-small" }, "none found in the train documents; search for one");
  const fill = (/** @type {any[]} */ found) => { if (list.isConnected) list.replaceChildren(...(found.length ? found.map(line) : [none()])); };
  const suggest = () => { if (node !== null) ask("suggest", { node }, fill); };
  let timer = setTimeout(suggest, 0); // once the form is there
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => (search.value ? ask("tokens", { text: search.value }, fill) : suggest()), 150);
  });
  return [h("h3", {}, name), search, list];
}

/** @param {string} name @param {string} value @param {Attributes} more @param {() => void} changed */
function amount(name, value, more, changed) {
  const input = numberField(name, { type: "number", inputmode: null, min: 0, ...more });
  input.value = value;
  input.addEventListener("input", changed);
  return input;
}

/** @param {Ui<N2G>} ui @param {Stage} stage @param {() => void} cancel */
export function forms(ui, stage, cancel) {
  const node = h("div", { class: "sl-form" });
  let open = ""; // which form is open, and on which node
  let of = -1;
  function close() {
    [open, of] = ["", -1];
    node.replaceChildren();
  }
  /** Open a form, or close it if it is open. @param {string} name @param {PatternNode} here @param {() => (Node | null)[]} fill */
  function toggle(name, here, fill) {
    const again = open === `${name} ${here.id}`;
    close();
    if (again) return;
    [open, of] = [`${name} ${here.id}`, here.id];
    node.append(...fill().filter((part) => part !== null));
    focus();
  }
  const focus = () => /** @type {HTMLElement | null} */ (node.querySelector("input, button"))?.focus();
  /** @param {PatternNode} here @param {string} name @param {string} op @param {boolean} suggested whether the text suggests some */
  const chooser = (here, name, op, suggested) => toggle(name, here, () => tokenList(ui, name, (ids) => {
    if (ids.length) stage(op, { node: here.id, ids });
    else cancel();
  }, suggested ? here.id : null));

  /** @param {PatternNode} here */
  const gap = (here) => toggle("gap", here, () => {
    const own = here.kind === "gap";
    const go = () => { if (lo.value !== "" && hi.value !== "") stage("gap", { node: here.id, lo: Number(lo.value), hi: Number(hi.value) }); };
    const lo = amount("At least so many tokens", String(own ? here.lo : 0), { max: 64 }, go);
    const hi = amount("At most so many tokens", String(own ? here.hi : 4), { max: 64 }, go);
    const title = own || here.kind === "any" ? "Tokens that may stand here" : "Tokens that may stand after this one";
    return [h("h3", {}, title), h("div", { class: "sl-bar" }, lo, "to", hi, button("Show", "Preview the gap", go)),
      note("At most 0 takes a gap away.")];
  });

  /** @param {PatternNode} here */
  const value = (here) => toggle("value", here, () => {
    const go = () => { if (input.value !== "") stage("set_value", { node: here.id, value: Number(input.value) }); };
    const input = amount("Predicted activation", here.end ? String(Number(here.end.value.toPrecision(4))) : "", { step: "any" }, go);
    const fit = here.end ? button("Fit", "The mean activation on the train documents", () => stage("refit", { node: here.id })) : null;
    return [h("h3", {}, "Predicted activation where a pattern ends here"),
      h("div", { class: "sl-bar" }, input, button("Show", "Preview this value", go), fit),
      note("0 makes an exception: the latent does not fire here.")];
  });

  /** @param {PatternNode} here */
  const verify = (here) => toggle("verify", here, () => {
    const says = h("p", { class: "sl-verdict" }, "asking the model …");
    ui.request("verify", { node: here.id }).then(({ sufficiency, low, high, mean }) => {
      const [share, least, most] = [sufficiency, low, high].map((v) => Math.round(100 * v));
      says.textContent = `Around these tokens everything random: fires on ${share} % of the prompts (95 %: ${least} to ${most}), mean activation ${show(mean)}.`;
    }, (/** @type {Error} */ error) => { says.textContent = error.message; });
    return [h("h3", {}, "The model's word"), says];
  });
  return { node, close, focus, of: () => of, chooser, gap, value, verify };
}
