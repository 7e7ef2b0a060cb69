import { button, h, show } from "./dom.js";

/**
 * The colour bar with its two ends; they follow the data until they are locked (the traits `vmin` and `vmax`).
 * @param {{ get(key: any): any, set(key: any, value: any): void, save_changes(): void }} model
 * @param {() => number} most the data's maximum
 * @param {string} promise what locking does, for the button
 */
export function scale(model, most, promise) {
  const low = number("Lowest value of the colour scale", "vmin");
  const high = number("Highest value of the colour scale", "vmax");
  const lock = button("", "", () => {
    const locked = model.get("vmax") !== null;
    set(locked ? null : range().low, locked ? null : range().high);
  });
  const node = h("span", { class: "sl-scale sl-small" }, low, h("span", { class: "sl-ramp", role: "img", "aria-label": "colour scale" }), high, lock);

  /** @param {number | null} vmin @param {number | null} vmax */
  function set(vmin, vmax) {
    model.set("vmin", vmin);
    model.set("vmax", vmax);
    model.save_changes();
  }
  /** @returns {{ low: number, high: number }} */
  function range() {
    return { low: model.get("vmin") ?? 0, high: model.get("vmax") ?? most() };
  }
  /** @param {string} label @param {"vmin" | "vmax"} key */
  function number(label, key) {
    const input = h("input", { class: "sl-input", type: "text", inputmode: "decimal", "aria-label": label, title: label });
    input.addEventListener("change", () => {
      const value = Number(input.value), { low: a, high: b } = range();
      const right = input.value.trim() !== "" && Number.isFinite(value) && (key === "vmin" ? value < b : value > a);
      if (right) set(key === "vmin" ? value : a, key === "vmin" ? b : value);
      else draw();
    });
    return input;
  }
  function draw() {
    const locked = model.get("vmax") !== null;
    low.value = show(range().low);
    high.value = show(range().high);
    lock.textContent = locked ? "locked" : "lock";
    lock.setAttribute("aria-pressed", String(locked));
    lock.title = locked ? "Scale each latent to its own maximum again" : promise;
    lock.setAttribute("aria-label", lock.title);
  }
  return { node, draw, range };
}
