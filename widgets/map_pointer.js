/** The pointer on a map: pick, lasso, move, zoom, and the facts of what is under it. */
import { nearest, within } from "./map_points.js";
import { facts } from "./tip.js";

/**
 * @param {Ui<LatentMap>} ui @param {Scene} scene
 * @param {{ canvas: HTMLCanvasElement, pin: HTMLElement, stage: HTMLElement, redraw(): void }} map
 * @param {{ zoom(by: number, at: [number, number]): void, toggle(latent: number): void, about(place: number): Pairs }} does
 */
export function pointer({ state, set, tip }, scene, { canvas, pin, stage, redraw }, { zoom, toggle, about }) {
  const { camera } = scene;
  /** @type {{ from: [number, number], pan: boolean, add: boolean, x: number, y: number } | null} */
  let drag = null;
  /** @param {MouseEvent} event @returns {[number, number]} */
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    const pan = scene.moving || event.button === 1 || event.altKey;
    drag = { from: at(event), pan, add: event.shiftKey, x: camera.x, y: camera.y };
    scene.lasso = [drag.from];
    canvas.setPointerCapture?.(event.pointerId);
    tip.hide();
    stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = at(event), last = scene.lasso[scene.lasso.length - 1];
    if (drag?.pan) {
      const k = 2 / (Math.min(camera.width, camera.height) * camera.zoom);
      camera.x = drag.x - (here[0] - drag.from[0]) * k;
      camera.y = drag.y + (here[1] - drag.from[1]) * k;
      return redraw();
    }
    if (drag) {
      if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 3) scene.lasso.push(here);
      return redraw();
    }
    const place = scene.columns ? nearest(scene.columns, scene.bucket, camera, here, 9) : -1;
    canvas.classList.toggle("sl-over", place >= 0);
    if (place < 0) return tip.hide();
    pin.style.transform = `translate(${here[0]}px, ${here[1]}px)`;
    tip.show(pin, facts(about(place)));
  });
  canvas.addEventListener("pointerleave", () => tip.hide());

  /** A click picks a point. @param {Columns} columns @param {PointerEvent} event */
  function click(columns, event) {
    const place = nearest(columns, scene.bucket, camera, at(event), 12);
    if (place < 0) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(columns.latent[place]);
    else set({ latent: columns.latent[place] });
  }
  canvas.addEventListener("pointerup", (event) => {
    if (!drag || !scene.columns) return;
    const { pan, add } = drag, lasso = scene.lasso;
    [drag, scene.lasso] = [null, []];
    if (!pan && lasso.length > 2) {
      const inside = within(scene.columns, scene.bucket, camera, lasso);
      set({ selected: add ? [...new Set([...state.selected, ...inside])] : inside });
    } else if (!pan) click(scene.columns, event);
    redraw();
  });
  canvas.addEventListener("pointercancel", () => { [drag, scene.lasso] = [null, []]; redraw(); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), at(event));
  }, { passive: false });
}
