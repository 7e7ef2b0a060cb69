/** EffectMap: a text coloured by what ablating a latent changes; the votes at the chosen place. */
import { latentIn, numberField, onEnter, onKeys, typing } from "./controls.js";
import { button, focused, grow, h } from "./dom.js";
import { effectsPicture } from "./effects.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";

/** @param {Ui<EffectMap>} ui */
function build(ui) {
  const { state, view, say, ask, set, soon } = ui;
  const picture = effectsPicture(() => state, set);
  const title = h("h2", {});
  const box = numberField("Latent to ablate", { inputmode: "numeric" });
  const run = () => {
    const latent = latentIn(box, say, state.d_sae);
    if (latent !== null) ask("ablate", { latent });
  };
  onEnter(box, run, () => view.focus());
  const asking = h("span", { class: "sl-bar" }, box, button("Ablate", "Show the effects of this latent", run));
  function draw() {
    title.textContent = `${typeof state.latent === "string" ? state.latent : `Latent ${state.latent}`} ablated`;
    if (!focused(box)) box.value = String(state.latent);
    asking.hidden = !state.can_ask;
    picture.draw();
  }
  onKeys(view, (event) => {
    if (typing(event)) return undefined;
    return event.key === "/" && state.can_ask ? () => box.focus() : picture.keyOf(event);
  });
  soon(["measure", "direct", "vmax", "show_whitespace", "latent", "text", "following", "edited", "numbers", "votes", "weights",
    "has_direct", "can_ask"], draw);
  soon(["selected_token"], picture.drawSelection);
  view.append(h("div", { class: "sl-bar" }, title, grow(), asking, figureMenu(ui, () => `effects-of-latent-${state.latent}`)), picture.node);
  draw();
}

export default widget("effects", "Effects of ablating a latent", build);
