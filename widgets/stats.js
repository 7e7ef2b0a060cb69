/** Statistics of a latent, each with what it means. */
import { count, h, show } from "./dom.js";

/** Whether the latent fires at all. @param {Dashboard} state */
export const fires = (state) => (state.payload.stats.n ?? 0) > 0;

const percent = (/** @type {number | null} */ v) => (v === null ? "–" : show(100 * v));

/** The length of the decoder row, the unit of activations. @param {number} length @returns {[string, string, string, string]} */
function unit(length) {
  if (Math.abs(length - 1) < 0.01) return ["decoder row", "length 1", "", "The decoder row is what an activation of 1 adds to the model; all rows have length 1, so activations of latents can be compared"];
  return ["decoder row", `length ${show(length)}`, "not folded",
    "The decoder row is what an activation of 1 adds to the model. Public dashboards may show activations times this length: sae.fold_norms() does that"];
}

/** @param {Ui<Dashboard>} ui */
export function statistics({ state }) {
  const node = h("dl", { class: "sl-stats" });
  function draw() {
    const { stats: s, counted, excluded, decoder_norm: length } = state.payload;
    /** @type {[string, string, string, string][]} name, value, what is said beside it, meaning */
    const lines = [
      ["tokens counted", count(counted), excluded ? `+ ${count(excluded)} special, left out` : "", "Positions all numbers are about"],
      ["fires on", count(s.n ?? 0), "", "Positions with an activation above 0"],
      ["density", `${percent(s.density)} %`, s.density_lo === null ? "no interval" : `${percent(s.density_lo)} – ${percent(s.density_hi)}`,
        "Share of the counted tokens, with its 95 % interval, if there are 20 documents and it fires in 5 of them"],
    ];
    if (fires(state)) lines.push(
      ["mean, max", `${show(s.mean)}, ${show(s.max)}`, "", "mean activation where it fires"],
      ["E[a²]", show(s.mean_sq), "", "Mean of the squared activation over all counted tokens, 0 where it is silent: large if it fires often or strongly"],
      ["skew, kurtosis", `${show(s.skew)}, ${show(s.kurtosis)}`, "",
        "Large: it is silent on most tokens and strong on few. Over all counted tokens, skew is E[a³] / E[a²]^1.5 and kurtosis E[a⁴] / E[a²]², where E is the mean"]);
    if (length !== undefined && length !== null) lines.push(unit(length));
    node.replaceChildren(...lines.flatMap(([name, value, more, title]) => [
      h("dt", { title }, name), h("dd", { title }, value, more ? h("small", {}, ` ${more}`) : null),
    ]));
  }
  return { node, draw };
}
