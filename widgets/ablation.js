/** The section of a dashboard that shows what ablating its latent changes in the row of an example. */
import { button, h } from "./dom.js";
import { effectsPicture } from "./effects.js";

/**
 * @typedef {import("./effects.js").Effects} Effects
 * @typedef {import("./effects.js").Shown} Shown
 * @typedef {Effects & { latent: number, row: number, selected: number | null, running?: boolean }} Ablated
 */

/**
 * @param {object} of
 * @param {{ get(key: any): any }} of.model
 * @param {() => { row: number, position: number, chosen: boolean } | null} of.example the one that was clicked, else the strongest
 * @param {(params: { row: number, position: number }) => void} of.ask
 */
export function ablationBox({ model, example, ask }) {
  /** @type {Shown} */
  let shown = { measure: "loss_diff", direct: false, selected_token: null, vmax: null, show_whitespace: false };
  /** @type {Ablated | undefined} */
  let drawn;
  /** @returns {Partial<Ablated>} */
  const found = () => model.get("ablated") ?? {};
  const picture = effectsPicture(
    (key) => /** @type {any} */ (key in shown ? shown[/** @type {keyof Shown} */ (key)] : found()[/** @type {keyof Effects} */ (key)]),
    (changes) => {
      const selection = Object.keys(changes).join() === "selected_token";
      shown = { ...shown, ...changes };
      if (selection) picture.drawSelection(); else picture.draw();
    });
  const go = button("Ablate here", "Set this latent to 0 in the whole row of the example that is selected, else of the strongest, and see what changes (a)", run);
  const where = h("span", { class: "sl-muted sl-small", role: "status" });
  const node = h("section", { class: "sl-ablation" }, h("div", { class: "sl-bar" }, h("h3", { title: "The loss and the predictions with the latent set to 0, all else as it was" }, "Effects of ablating"), go, where), picture.node);

  function run() {
    const at = example();
    if (at && !go.disabled && !go.hidden) ask({ row: at.row, position: at.position });
  }

  function draw() {
    const ablated = found(), reason = model.get("cannot_try"), readOnly = model.get("read_only"), at = example();
    const there = !!ablated.text;
    node.hidden = readOnly && !there;
    go.hidden = readOnly || !!reason;
    go.disabled = !at || !!ablated.running;
    picture.node.hidden = !there;
    const target = at ? `${at.chosen ? "the selected example" : "the strongest example"}, row ${at.row}` : "no example to ablate it in";
    where.textContent = ablated.running ? `running on row ${ablated.row} …` : there ? `in row ${ablated.row}` : reason && !readOnly ? reason : target;
    if (!there) return;
    if (drawn !== ablated) {
      drawn = /** @type {Ablated} */ (ablated);
      shown = { ...shown, selected_token: drawn.selected, vmax: null };
    }
    picture.draw();
  }

  node.addEventListener("keydown", (event) => {
    if (!picture.node.contains(/** @type {Node} */ (event.target)) || !found().text || !picture.move(event)) return;
    event.preventDefault();
    event.stopPropagation(); // arrows here do not open other latents
  });
  return { node, draw, run };
}
