/** LatentMap: latents as points on a canvas; a lasso chooses some. */
import { alertBox } from "./alert.js";
import { load, topToken } from "./columns.js";
import { button, clamp, count, h, root, show, typing } from "./dom.js";
import { draw, nearest, palette, paint, within } from "./map_points.js";
import { figureMenu } from "./figure.js";
import { requests } from "./rpc.js";
import { facts, tooltip } from "./tip.js";

/**
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {object} State
 * @property {number} latent
 * @property {number[]} selected
 * @property {"density" | "max" | "label"} colour
 * @property {boolean} show_dead
 * @property {number} d_sae
 * @property {number} counted
 * @property {Record<string, string>} labels
 * @property {Record<string, string>} groups
 * @property {string} about
 * @property {boolean} read_only
 * @property {DataView} packed
 * @property {string[]} tokens
 * @property {{ message?: string, traceback?: string }} error
 */

const HEIGHT = 430;

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("map", "Map of latents");
  const alert = alertBox(model);
  const tip = tooltip(view, abort.signal);
  const canvas = h("canvas", { class: "sl-canvas", role: "img" });
  const pin = h("span", { class: "sl-pin", "aria-hidden": "true" }); // what the tip is shown at
  const stage = h("div", { class: "sl-stage", tabindex: "0", role: "application",
    "aria-label": "Map of latents. Arrow keys go to the next point, Enter picks it, plus and minus zoom, 0 shows all, Escape clears." }, canvas, pin);
  const legend = h("div", { class: "sl-legend sl-small" });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  const box = h("input", { class: "sl-input sl-find", type: "text", placeholder: "latent or label", "aria-label": "Go to a latent, by number or label", title: "Go to a latent; press / to come here" });
  const colour = h("select", { class: "sl-input sl-colour", "aria-label": "Colour" },
    h("option", { value: "density" }, "density"), h("option", { value: "max" }, "largest activation"), h("option", { value: "label" }, Object.keys(model.get("groups")).length ? "group" : "label"));
  const dead = h("input", { type: "checkbox" });

  /** @type {Columns | null} */
  let columns = null;
  /** @type {Int32Array} latent -> place */
  let placeOf = new Int32Array(0);
  /** @type {Uint8Array} colour of each point; 255: not drawn */
  let bucket = new Uint8Array(0);
  /** @type {string[]} */
  let colours = [];
  const camera = { x: 0, y: 0, zoom: 1, width: 600, height: HEIGHT };
  /** @type {[number, number][]} in pixels */
  let lasso = [];

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }

  // ------------------------------------------------------------------------------ colour

  function recolour() {
    if (!columns) return;
    const kind = model.get("colour");
    const groups = Object.keys(model.get("groups")).length ? model.get("groups") : model.get("labels");
    const made = palette(columns, { kind, groups, dead: model.get("show_dead"), counted: model.get("counted") });
    bucket = made.bucket;
    colours = made.classes.map((css) => paint(view, css));
    legend.replaceChildren(...made.legend.map(([name, place]) => {
      const dot = h("span", { class: "sl-dot" });
      dot.style.background = colours[place];
      return h("span", { class: "sl-key" }, dot, h("bdi", {}, name));
    }));
    redraw();
  }

  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      if (abort.signal.aborted || !columns) return;
      const place = placeOf[model.get("latent")] ?? -1;
      draw(canvas, camera, { columns, bucket, colours, picked: new Set(model.get("selected")), current: place, lasso, ink: paint(view, "sl-ink"), accent: paint(view, "sl-accent") });
    });
  }

  function resize() {
    camera.width = Math.max(200, stage.clientWidth || 600);
    const scale = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(camera.width * scale), Math.round(HEIGHT * scale)];
    canvas.style.width = `${camera.width}px`;
    canvas.style.height = `${HEIGHT}px`;
    redraw();
  }

  // ---------------------------------------------------------------------- what is under the pointer

  /** @param {PointerEvent | WheelEvent} event @returns {[number, number]} */
  const at = (event) => { const b = canvas.getBoundingClientRect(); return [event.clientX - b.left, event.clientY - b.top]; };
  /** @param {number} place @returns {[string, string | Node][]} */
  function about(place) {
    if (!columns) return [];
    const latent = columns.latent[place];
    /** @type {[string, string | Node][]} */
    const pairs = [["latent", String(latent)]];
    const token = topToken(columns, place);
    if (token) pairs.push(["strongest on", token]);
    pairs.push(["density", columns.count[place] ? `${show((100 * columns.count[place]) / Math.max(1, model.get("counted")))} %` : "never fires"]);
    const label = model.get("labels")[latent], group = model.get("groups")[latent];
    if (label) pairs.push(["label", h("bdi", {}, label)]);
    if (group) pairs.push(["group", h("bdi", {}, group)]);
    return pairs;
  }
  function drawStatus() {
    const place = placeOf[model.get("latent")] ?? -1;
    const n = model.get("selected").length;
    status.replaceChildren();
    if (place >= 0) for (const [name, value] of about(place)) status.append(h("span", {}, `${name} `, typeof value === "string" ? h("b", {}, value) : value));
    status.append(h("span", { class: "sl-grow" }), h("span", {}, n ? `${count(n)} in the lasso` : "drag a lasso around points"));
    if (n) status.append(button("clear", "Empty the lasso", () => set({ selected: [] })));
    canvas.setAttribute("aria-label", `${count(model.get("d_sae"))} latents as points, ${model.get("about")}; ${count(n)} selected`);
  }

  // ---------------------------------------------------------------------------------- pointer

  /** @type {{ from: [number, number], pan: boolean, add: boolean, camera: { x: number, y: number } } | null} */
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    drag = { from: at(event), pan: mode === "move" || event.button === 1 || event.altKey, add: event.shiftKey, camera: { ...camera } };
    lasso = [drag.from];
    canvas.setPointerCapture?.(event.pointerId);
    tip.hide();
    stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = at(event);
    if (drag?.pan) {
      const k = 2 / (Math.min(camera.width, camera.height) * camera.zoom);
      camera.x = drag.camera.x - (here[0] - drag.from[0]) * k;
      camera.y = drag.camera.y + (here[1] - drag.from[1]) * k;
      return redraw();
    }
    if (drag) {
      const last = lasso[lasso.length - 1];
      if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 3) lasso.push(here);
      return redraw();
    }
    const place = columns ? nearest(columns, bucket, camera, here, 9) : -1;
    canvas.classList.toggle("sl-over", place >= 0);
    if (place < 0) return tip.hide();
    pin.style.transform = `translate(${here[0]}px, ${here[1]}px)`;
    tip.show(pin, facts(about(place)));
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("pointerup", (event) => {
    if (!drag || !columns) return;
    const { pan, add } = drag, moved = lasso.length > 2;
    drag = null;
    if (!pan && moved) {
      const inside = within(columns, bucket, camera, lasso);
      set({ selected: add ? [...new Set([...model.get("selected"), ...inside])] : inside });
    } else if (!pan) {
      const place = nearest(columns, bucket, camera, at(event), 12);
      if (place >= 0) {
        const latent = columns.latent[place];
        if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(latent);
        else set({ latent });
      }
    }
    lasso = [];
    redraw();
  });
  canvas.addEventListener("pointercancel", () => { drag = null; lasso = []; redraw(); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), at(event));
  }, { passive: false });

  /** @param {number} by @param {[number, number]} [about] the pixel that stays where it is */
  function zoom(by, [px, py] = [camera.width / 2, camera.height / 2]) {
    const size = Math.min(camera.width, camera.height) / 2;
    const [dx, dy] = [(px - camera.width / 2) / size, (camera.height / 2 - py) / size];
    const next = clamp(camera.zoom * by, 0.5, 400);
    camera.x += dx / camera.zoom - dx / next;
    camera.y += dy / camera.zoom - dy / next;
    camera.zoom = next;
    redraw();
  }
  function whole() { [camera.x, camera.y, camera.zoom] = [0, 0, 1]; redraw(); }
  /** @param {number} latent */
  function toggle(latent) {
    const picked = model.get("selected");
    set({ selected: picked.includes(latent) ? picked.filter((x) => x !== latent) : [...picked, latent] });
  }

  // ------------------------------------------------------------------------------------ keys

  /** The nearest point in the direction of an arrow. @param {number} dx @param {number} dy */
  function walk(dx, dy) {
    if (!columns) return;
    const here = placeOf[model.get("latent")] ?? -1, xy = columns.rest;
    const [x, y] = here >= 0 && !Number.isNaN(xy[2 * here]) ? [xy[2 * here], xy[2 * here + 1]] : [0, 0];
    let best = -1, least = Infinity;
    for (let i = 0; i < columns.n; i += 1) {
      if (bucket[i] === 255 || i === here) continue;
      const [a, b] = [xy[2 * i] - x, xy[2 * i + 1] - y];
      const along = a * dx + b * dy, across = Math.abs(a * dy) + Math.abs(b * dx);
      if (!(along > 0) || across > along) continue;
      const far = along + across;
      if (far < least) { least = far; best = i; }
    }
    if (best >= 0) set({ latent: columns.latent[best] });
  }
  function find() {
    const text = box.value.trim();
    const number = Number(text);
    const named = Object.entries(model.get("labels")).find(([, name]) => name.toLowerCase().includes(text.toLowerCase()));
    if (text === "") return;
    if (Number.isInteger(number) && number >= 0 && number < model.get("d_sae")) set({ latent: number });
    else if (named) set({ latent: Number(named[0]) });
    else return alert.say(`No latent has the number or label ${text}.`);
    alert.say("");
    stage.focus();
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") find();
    if (event.key === "Escape") stage.focus();
  });
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || (/** @type {HTMLElement} */ (event.target).tagName === "BUTTON" && event.key !== "/")) return;
    const actions = /** @type {Record<string, () => void>} */ ({
      ArrowRight: () => walk(1, 0), ArrowLeft: () => walk(-1, 0), ArrowUp: () => walk(0, 1), ArrowDown: () => walk(0, -1),
      Enter: () => toggle(model.get("latent")), " ": () => toggle(model.get("latent")), "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: whole,
      Escape: () => { tip.hide(); set({ selected: [] }); }, "/": () => { box.focus(); box.select(); },
    });
    if (!actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  });

  // --------------------------------------------------------------------------------- wiring

  let mode = "lasso";
  const tools = h("div", { class: "sl-tabs", role: "group", "aria-label": "What dragging does" }, ...["lasso", "move"].map((name) => {
    const node = h("button", { type: "button", "aria-selected": String(name === mode), "aria-pressed": String(name === mode) }, name);
    node.addEventListener("click", () => {
      mode = name;
      for (const other of tools.children) for (const key of ["aria-selected", "aria-pressed"]) other.setAttribute(key, String(other === node));
      canvas.classList.toggle("sl-moving", mode === "move");
    });
    return node;
  }));
  colour.addEventListener("change", () => set({ colour: /** @type {State["colour"]} */ (colour.value) }));
  dead.addEventListener("change", () => set({ show_dead: dead.checked }));
  function drawControls() {
    colour.value = model.get("colour");
    dead.checked = model.get("show_dead");
  }
  for (const key of /** @type {const} */ (["colour", "labels", "groups", "show_dead"])) model.on(`change:${key}`, () => { drawControls(); recolour(); drawStatus(); });
  for (const key of /** @type {const} */ (["latent", "selected"])) model.on(`change:${key}`, () => { redraw(); drawStatus(); });

  view.append(alert.box,
    h("div", { class: "sl-bar" }, box, h("label", { class: "sl-small sl-by" }, "colour by", colour), h("label", { class: "sl-check sl-small" }, dead, "dead too"),
      h("span", { class: "sl-grow" }), tools, button("−", "Zoom out (−)", () => zoom(1 / 1.4)), button("+", "Zoom in (+, or Ctrl and wheel)", () => zoom(1.4)), button("all", "Show all (0)", whole), figureMenu(view, () => "latent-map", alert.say)),
    stage, h("div", { class: "sl-bar sl-under" }, legend, h("span", { class: "sl-grow" }), h("span", { class: "sl-muted sl-small" }, model.get("about"))), status);
  el.append(view);
  const size = new ResizeObserver(resize);
  size.observe(stage);
  const theme = new MutationObserver(recolour); // JupyterLab changes its theme on the body
  for (const node of [document.body, document.documentElement]) theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme", "class"] });
  abort.signal.addEventListener("abort", () => { size.disconnect(); theme.disconnect(); });
  drawControls();
  status.textContent = "loading…";
  load(model, request, 2).then((c) => {
    columns = c;
    placeOf = new Int32Array(model.get("d_sae")).fill(-1);
    c.latent.forEach((latent, i) => { placeOf[latent] = i; });
    resize();
    recolour();
    drawStatus();
  }).catch((/** @type {Error} */ e) => alert.say(e.message));
  return () => abort.abort();
}

export default { render };
