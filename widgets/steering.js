/** SteeringPanel: two texts beside each other, one with latents turned up or down. */
import { onKeys } from "./controls.js";
import { button, grow, h } from "./dom.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";
import { edits } from "./steering_edits.js";
import { field, settings } from "./steering_settings.js";
import { sweepTable, texts } from "./steering_texts.js";

/** Buttons that write, and what is being done. @param {Ui<Steering>} ui @param {ReturnType<typeof settings>} of */
function running({ state, ask, say }, of) {
  const go = button("Run", "Write both texts (Ctrl+Enter)", () => {
    of.sendPrompt();
    say("");
    ask("run");
  });
  go.classList.add("sl-primary");
  const stop = button("Cancel", "Stop writing (Esc)", () => ask("cancel"));
  const sweep = button("Sweep", "Write with each latent alone, at each factor times its strength", () => {
    say("");
    of.sendPrompt();
    if (of.sendFactors()) ask("sweep");
  });
  const status = h("span", { class: "sl-muted", role: "status" });
  const node = h("div", { class: "sl-bar" }, go, stop, h("span", { class: "sl-sep" }), sweep, field("× strength", "Numbers that the strength is multiplied by, one text each", of.factors), status);
  node.hidden = state.read_only;
  function draw() {
    go.disabled = sweep.disabled = state.running;
    stop.disabled = !state.running;
    status.textContent = state.status;
  }
  return { node, go, stop, draw };
}

/** @param {Ui<Steering>} ui */
function build(ui) {
  const { view, on, soon } = ui;
  const list = edits(ui), of = settings(ui), both = texts(ui), sweep = sweepTable(ui);
  const run = running(ui, of);
  const drawRunning = () => { run.draw(); both.draw(); };
  onKeys(view, (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !run.go.disabled) return () => run.go.click();
    return event.key === "Escape" && !run.stop.disabled && (() => run.stop.click());
  });
  soon(["running", "status", "baseline", "steered", "said"], drawRunning);
  soon(["swept"], sweep.draw);
  on(["edits", "about"], list.echo);
  on(["positions", "max_new_tokens", "temperature", "seed", "prompt", "factors", "mode"], of.draw);
  on(["mode"], list.draw);
  soon(["edits", "schedule", "positions", "max_new_tokens", "temperature", "seed", "prompt", "mode"], both.draw);
  view.append(h("div", { class: "sl-form" }, list.node, of.bar, of.prompt, run.node), both.stale, both.node,
    h("div", { class: "sl-bar sl-foot" }, both.legend, grow(), figureMenu(ui, () => "steering")), sweep.node);
  list.draw();
  of.draw();
  drawRunning();
  sweep.draw();
}

export default widget("steering", "Steering panel", build);
