/** The latents nearest to one, by three measures. */
import { barRow } from "./chart.js";
import { tabs } from "./controls.js";
import { h, link, note } from "./dom.js";
import { called } from "./text.js";

/** @param {Ui<Dashboard>} ui @param {(latent: number) => void} open */
export function neighbours({ state }, open) {
  let by = /** @type {"decoder" | "encoder" | "coactivation"} */ ("decoder");
  const kinds = tabs("Kind of neighbour", [
    ["decoder", "decoder", "They add nearly the same to the model: cosine of the decoder rows"],
    ["encoder", "encoder", "They look for nearly the same: cosine of the encoder columns"],
    ["coactivation", "co-activation", "They fire on the same tokens"]],
    (kind) => { by = kind; draw(); });
  const list = h("div");
  const node = h("section", {}, h("div", { class: "sl-bar" }, h("h3", {}, "Nearest latents by"), kinds.node), list);

  /** @param {Neighbour} n */
  function row({ latent, similarity, label, token }) {
    const here = !state.available || state.available.includes(latent);
    return barRow(h("span", {},
      here ? link(String(latent), () => open(latent), { title: `Open latent ${latent}` }) : h("span", { title: "Not in this page" }, String(latent)),
      " ", ...called(token, label)), similarity, 1);
  }
  function draw() {
    const found = state.payload.nearest[by];
    kinds.mark(by);
    if (!Array.isArray(found)) list.replaceChildren(note(found.reason));
    else if (!found.length) list.replaceChildren(note("None."));
    else list.replaceChildren(h("div", { class: "sl-rows" }, ...found.flatMap(row)));
  }
  return { node, draw };
}
