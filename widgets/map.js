/** LatentMap: latents as points on a canvas; a lasso chooses some. */
import { load, topToken } from "./columns.js";
import { alone, check, onButton, onEnter, onKeys, tabs, toggled, typing } from "./controls.js";
import { button, clamp, count, grow, h, link, show } from "./dom.js";
import { figureMenu } from "./figure.js";
import { draw, palette, paint, towards } from "./map_points.js";
import { pointer } from "./map_pointer.js";
import { widget } from "./mount.js";
import { inline } from "./tip.js";

const HEIGHT = 430, LISTED = 60;

/** The canvas and its legend. @param {Ui<LatentMap>} ui @param {Scene} scene */
function picture({ state, view, signal }, scene) {
  const canvas = h("canvas", { class: "sl-canvas", role: "img" });
  const pin = h("span", { class: "sl-pin", "aria-hidden": "true" }); // what the tip is shown at
  const stage = h("div", {
    class: "sl-stage", tabindex: "0", role: "application",
    "aria-label": "Map of latents. Arrow keys go to the next point, Enter picks it, plus and minus zoom, 0 shows all, Escape clears.",
  }, canvas, pin);
  const legend = h("div", { class: "sl-legend sl-small" });
  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const { columns, bucket, colours, lasso, camera } = scene;
      if (!signal.aborted && columns) draw(canvas, camera, {
        columns, bucket, colours, picked: new Set(state.selected), current: scene.placeOf[state.latent] ?? -1, lasso,
        ink: paint(view, "sl-ink"), accent: paint(view, "sl-accent"),
      });
    });
  }
  function recolour() {
    if (!scene.columns) return;
    const groups = Object.keys(state.groups).length ? state.groups : state.labels;
    const made = palette(scene.columns, { kind: state.colour, groups, dead: state.show_dead, counted: state.counted, only: scene.only });
    scene.bucket = made.bucket;
    scene.colours = made.colours.map((colour) => paint(view, "", colour));
    legend.replaceChildren(...made.legend.map(([name, place]) => {
      const dot = h("span", { class: "sl-dot" });
      dot.style.background = scene.colours[place];
      if (state.colour !== "label") return h("span", { class: "sl-key" }, dot, h("bdi", {}, name));
      const only = scene.only.has(place);
      const key = h("button", { type: "button", class: "sl-key", "aria-pressed": String(only), title: only ? "Draw the others again" : "Draw these alone" },
        dot, h("bdi", {}, name));
      key.classList.toggle("sl-out", scene.only.size > 0 && !only);
      key.addEventListener("click", () => {
        scene.only = new Set(toggled([...scene.only], place));
        recolour();
      });
      return key;
    }));
    redraw();
  }
  function resize() {
    const { camera } = scene, scale = window.devicePixelRatio || 1;
    camera.width = Math.max(200, stage.clientWidth || 600);
    [canvas.width, canvas.height] = [Math.round(camera.width * scale), Math.round(HEIGHT * scale)];
    [canvas.style.width, canvas.style.height] = [`${camera.width}px`, `${HEIGHT}px`];
    redraw();
  }
  return { canvas, pin, stage, legend, redraw, recolour, resize };
}

/** What is known of a point. @param {LatentMap} state @param {Scene} scene @param {number} place */
function about({ counted, labels, sources, groups }, { columns }, place) {
  if (!columns || place < 0) return [];
  const latent = columns.latent[place], n = columns.count[place], token = topToken(columns, place);
  /** @type {Pairs} */
  const pairs = [["latent", String(latent)]];
  if (token) pairs.push(["strongest on", token]);
  pairs.push(["density", n ? `${show((100 * n) / Math.max(1, counted))} %` : "never fires"]);
  if (labels[latent]) pairs.push(["label", h("bdi", {}, labels[latent])]);
  if (sources[latent]) pairs.push(["written by", h("bdi", {}, sources[latent])]);
  if (groups[latent]) pairs.push(["group", h("bdi", {}, groups[latent])]);
  return pairs;
}

/** The chosen latents, the most frequent first, each with its token and name. @param {LatentMap} state @param {Scene} scene @param {(latent: number) => void} open */
function chosen({ selected, labels, groups }, { columns, placeOf }, open) {
  if (!columns) return [];
  const often = (/** @type {number} */ latent) => columns.count[placeOf[latent]] ?? -1;
  const first = [...selected].sort((a, b) => often(b) - often(a) || a - b).slice(0, LISTED);
  const out = first.map((latent) => h("span", { class: "sl-one" }, link(String(latent), () => open(latent), { title: `Go to latent ${latent}` }), " ",
    topToken(columns, placeOf[latent]) ?? "", " ", h("bdi", {}, labels[latent] || groups[latent] || "")));
  if (selected.length > LISTED) out.push(h("span", { class: "sl-muted" }, `and ${count(selected.length - LISTED)} more`));
  return out;
}

/** Ways to change the camera. @param {Scene} scene @param {() => void} redraw */
function cameraman({ camera }, redraw) {
  /** @param {number} by @param {[number, number]} [at] the pixel that stays where it is */
  function zoom(by, [px, py] = [camera.width / 2, camera.height / 2]) {
    const size = Math.min(camera.width, camera.height) / 2;
    const [dx, dy] = [(px - camera.width / 2) / size, (camera.height / 2 - py) / size];
    const next = clamp(camera.zoom * by, 0.5, 400);
    Object.assign(camera, { x: camera.x + dx / camera.zoom - dx / next, y: camera.y + dy / camera.zoom - dy / next, zoom: next });
    redraw();
  }
  const whole = () => { Object.assign(camera, { x: 0, y: 0, zoom: 1 }); redraw(); };
  return { zoom, whole };
}

/** What is coloured and drawn, and the tools. @param {Ui<LatentMap>} ui @param {Scene} scene @param {ReturnType<typeof picture>} map @param {ReturnType<typeof cameraman>} man */
function controls(ui, scene, map, { zoom, whole }) {
  const { state, set, say } = ui;
  const box = h("input", {
    class: "sl-input sl-find", type: "text", placeholder: "latent, label or group", "aria-label": "Go to latents, by number, label or group",
    title: "Go to a latent, or choose all of a label or group; press / to come here",
  });
  onEnter(box, () => {
    const text = box.value.trim(), number = Number(text);
    if (text === "") return;
    const named = [state.labels, state.groups].flatMap((names) => Object.entries(names))
      .filter(([, name]) => name.toLowerCase().includes(text.toLowerCase())).map(([latent]) => Number(latent));
    const found = Number.isInteger(number) && number >= 0 && number < state.d_sae ? [number] : [...new Set(named)].sort((a, b) => a - b);
    say(found.length ? "" : `No latent has the number, label or group ${text}.`);
    if (!found.length) return;
    set({ latent: found[0], ...(found.length > 1 ? { selected: found } : {}) });
    map.stage.focus();
  }, () => map.stage.focus());
  const colour = h("select", { class: "sl-input sl-colour", "aria-label": "Colour" }, h("option", { value: "density" }, "density"),
    h("option", { value: "max" }, "largest activation"), h("option", { value: "label" }, Object.keys(state.groups).length ? "group" : "label"));
  colour.addEventListener("change", () => set({ colour: /** @type {LatentMap["colour"]} */ (colour.value) }));
  const dead = check("dead too", (show_dead) => set({ show_dead }));
  const tools = tabs("What dragging does", [["lasso", "lasso"], ["move", "move"]], (mode) => {
    tools.mark(mode);
    scene.moving = mode === "move";
    map.canvas.classList.toggle("sl-moving", scene.moving);
  }, "group");
  tools.mark("lasso");
  tools.node.classList.add("sl-live");
  const draw = () => { [colour.value, dead.input.checked] = [state.colour, state.show_dead]; };
  const node = h("div", { class: "sl-bar" }, box, h("label", { class: "sl-small sl-by" }, "colour by", colour), dead.node, grow(), tools.node,
    button("−", "Zoom out (−)", () => zoom(1 / 1.4)), button("+", "Zoom in (+, or Ctrl and wheel)", () => zoom(1.4)),
    button("all", "Show all (0)", whole), figureMenu(ui, () => "latent-map"));
  return { box, node, draw };
}

/** @param {Ui<LatentMap>} ui */
function build(ui) {
  const { state, set, view, tip, on, atEnd, request, say } = ui;
  /** @type {Scene} */
  const scene = {
    columns: null, placeOf: new Int32Array(0), bucket: new Uint8Array(0), colours: [], lasso: [], moving: false, only: new Set(),
    camera: { x: 0, y: 0, zoom: 1, width: 600, height: HEIGHT },
  };
  const map = picture(ui, scene), man = cameraman(scene, map.redraw), bar = controls(ui, scene, map, man);
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" }), list = h("div", { class: "sl-picked" });
  const toggle = (/** @type {number} */ latent) => set({ selected: toggled(state.selected, latent) });
  pointer(ui, scene, map, { zoom: man.zoom, toggle, about: (place) => about(state, scene, place) });

  const walk = (/** @type {number} */ dx, /** @type {number} */ dy) => () => {
    const to = scene.columns ? towards(scene.columns, scene.bucket, scene.placeOf[state.latent] ?? -1, dx, dy) : -1;
    if (scene.columns && to >= 0) set({ latent: scene.columns.latent[to] });
  };
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || (onButton(event) && event.key !== "/")) return;
    const pick = () => toggle(state.latent), closer = () => man.zoom(1.4);
    return /** @type {Record<string, () => void>} */ ({
      ArrowRight: walk(1, 0), ArrowLeft: walk(-1, 0), ArrowUp: walk(0, 1), ArrowDown: walk(0, -1), Enter: pick, " ": pick,
      "+": closer, "=": closer, "-": () => man.zoom(1 / 1.4), 0: man.whole,
      Escape: () => { tip.hide(); set({ selected: [] }); }, "/": () => { bar.box.focus(); bar.box.select(); },
    })[event.key];
  });

  function drawStatus() {
    const n = state.selected.length;
    status.replaceChildren(...inline(about(state, scene, scene.placeOf[state.latent] ?? -1)), grow(),
      n ? h("span", {}, `${count(n)} chosen`) : h("span", { class: "sl-live" }, "drag a lasso around points"));
    if (n) status.append(button("clear", "Choose none", () => set({ selected: [] })));
    list.hidden = !n;
    list.replaceChildren(...chosen(state, scene, (latent) => set({ latent })));
    map.canvas.setAttribute("aria-label", `${count(state.d_sae)} latents as points, ${state.about}; ${count(n)} selected`);
  }
  on(["colour", "labels", "groups", "show_dead"], () => { bar.draw(); map.recolour(); drawStatus(); });
  on(["latent", "selected"], () => { map.redraw(); drawStatus(); });
  on(["colour"], () => { if (scene.only.size) { scene.only = new Set(); map.recolour(); } });
  view.append(bar.node, map.stage,
    h("div", { class: "sl-bar sl-under" }, map.legend, grow(), h("span", { class: "sl-muted sl-small" }, state.about)), status, list);
  const size = new ResizeObserver(() => { map.resize(); map.recolour(); }); // also where it comes into the page only now, with its colours
  size.observe(map.stage);
  const theme = new MutationObserver(map.recolour); // JupyterLab changes its theme on the body
  for (const node of [document.body, document.documentElement]) {
    theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme", "class"] });
  }
  const night = window.matchMedia?.("(prefers-color-scheme: dark)");
  night?.addEventListener("change", map.recolour, { signal: ui.signal });
  atEnd(() => { size.disconnect(); theme.disconnect(); });
  bar.draw();
  status.textContent = "loading…";
  load(state, request, 2).then((columns) => {
    scene.columns = columns;
    scene.placeOf = new Int32Array(state.d_sae).fill(-1);
    columns.latent.forEach((latent, i) => { scene.placeOf[latent] = i; });
    map.resize();
    map.recolour();
    drawStatus();
  }).catch((/** @type {Error} */ error) => say(error.message));
}

export default widget("map", "Map of latents", build);
