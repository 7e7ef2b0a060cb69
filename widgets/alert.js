import { button, h } from "./dom.js";

/**
 * The red box in which a widget says what went wrong: Python's `error` trait, or a failed request.
 * @param {() => { message?: string, traceback?: string }} error @param {(draw: () => void) => void} changed
 */
export function alertBox(error, changed) {
  const box = h("div", { class: "sl-alert", role: "alert", hidden: true });
  /** @param {string} message @param {string} [traceback] */
  const say = (message, traceback) => {
    box.hidden = !message;
    box.replaceChildren();
    if (message) box.append(h("span", { class: "sl-alert-text" }, message), button("×", "Dismiss the message", () => say("")));
    if (message && traceback) box.append(h("details", {}, h("summary", {}, "traceback"), h("pre", {}, traceback)));
  };
  const fromPython = () => say(error().message ?? "", error().traceback);
  changed(fromPython);
  fromPython();
  return { box, say };
}
