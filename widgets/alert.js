import { button, h } from "./dom.js";

/**
 * The red box in which a widget says what went wrong: Python's `error` trait, or a failed request.
 * @param {{ get(key: "error"): { message?: string, traceback?: string }, on(name: string, fn: () => void): void }} model
 */
export function alertBox(model) {
  const box = h("div", { class: "sl-alert", role: "alert", hidden: true });
  /** @param {string} message @param {string} [traceback] */
  const say = (message, traceback) => {
    box.hidden = !message;
    box.replaceChildren();
    if (!message) return;
    box.append(
      h("span", { class: "sl-alert-text" }, message),
      button("×", "Dismiss the message", () => say("")),
    );
    if (traceback) box.append(h("details", {}, h("summary", {}, "traceback"), h("pre", {}, traceback)));
  };
  const fromPython = () => {
    const error = model.get("error") ?? {};
    say(error.message ?? "", error.traceback);
  };
  model.on("change:error", fromPython);
  fromPython();
  return { box, say };
}
