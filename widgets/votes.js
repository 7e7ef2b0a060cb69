/** The tokens that a latent's decoder row votes up and down. */
import { barRow } from "./chart.js";
import { h, note } from "./dom.js";
import { chip } from "./text.js";

/** @param {Ui<Dashboard>} ui */
export function votes({ state }) {
  const node = h("section");
  function draw() {
    const found = state.payload.logits;
    node.replaceChildren(h("h3", {
      title: "Which next tokens the model then expects more (up) or less (down): the change of each token's logit, its score before the softmax, per unit of activation; later layers are left out (logit lens)",
    }, "Votes of the decoder direction (logit lens)"));
    if ("reason" in found) return node.append(note(found.reason));
    const most = Math.max(...[...found.up, ...found.down].map(([, v]) => Math.abs(v)), 1e-12);
    const side = (/** @type {[string, number][]} */ pairs, kind = "") =>
      h("div", { class: "sl-rows" }, ...pairs.flatMap(([token, value]) => barRow(chip(token), value, most, kind)));
    node.append(h("div", { class: "sl-votes" }, side(found.up, "sl-warm"), side(found.down)));
  }
  return { node, draw };
}
