import { numberField } from "./controls.js";
import { button, h, show } from "./dom.js";

/**
 * The colour bar with its two ends; they follow the data until they are locked (the traits `vmin` and `vmax`).
 * @param {Pick<Ui<{ vmin: number | null, vmax: number | null }>, "state" | "set">} ui
 * @param {() => number} most the data's maximum
 * @param {string} promise what locking does, for the button
 */
export function scale({ state, set }, most, promise) {
  const range = () => ({ low: state.vmin ?? 0, high: state.vmax ?? most() });
  const [low, high] = [["Lowest", "vmin"], ["Highest", "vmax"]].map(([name, key]) => {
    const label = `${name} value of the colour scale`;
    const input = numberField(label, { class: "sl-input", title: label });
    input.addEventListener("change", () => {
      const value = Number(input.value);
      const now = { vmin: range().low, vmax: range().high, [key]: value };
      if (input.value.trim() !== "" && Number.isFinite(value) && now.vmin < now.vmax) set(now);
      else draw();
    });
    return input;
  });
  const lock = button("", "", () => {
    const { low: vmin, high: vmax } = range();
    set(state.vmax === null ? { vmin, vmax } : { vmin: null, vmax: null });
  });
  const node = h("span", { class: "sl-scale sl-small" }, low, h("span", { class: "sl-ramp", role: "img", "aria-label": "colour scale" }), high, lock);
  function draw() {
    const locked = state.vmax !== null;
    low.value = show(range().low);
    high.value = show(range().high);
    lock.textContent = locked ? "locked" : "lock";
    lock.setAttribute("aria-pressed", String(locked));
    lock.title = locked ? "Scale each latent to its own maximum again" : promise;
    lock.setAttribute("aria-label", lock.title);
  }
  return { node, draw, range };
}
