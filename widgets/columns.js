/** The columns of many latents, as saelab/widgets/columns.py packs them. */
import { chip } from "./text.js";

/** @param {DataView} view @param {string[]} tokens @param {number} extra numbers per latent after the columns @returns {Columns} */
export function unpack(view, tokens, extra = 0) {
  const whole = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength); // aligned
  const n = whole.byteLength / (4 * (5 + extra));
  const part = (/** @type {number} */ i) => /** @type {[ArrayBuffer, number, number]} */ ([/** @type {ArrayBuffer} */ (whole), 4 * n * i, n]);
  return {
    n, tokens, latent: new Uint32Array(...part(0)), count: new Uint32Array(...part(1)), mean: new Float32Array(...part(2)),
    max: new Float32Array(...part(3)), token: new Uint32Array(...part(4)), rest: new Float32Array(whole, 4 * n * 5),
  };
}

/**
 * The columns of a widget: in a saved page they are in its state, else they are asked for once.
 * @param {{ packed: DataView, read_only: boolean, tokens: string[] }} state
 * @param {Ask} request @param {number} [extra]
 * @returns {Promise<Columns>}
 */
export async function load({ packed, read_only: fixed, tokens }, request, extra = 0) {
  if (packed?.byteLength || fixed) return unpack(packed ?? new DataView(new ArrayBuffer(0)), tokens, extra);
  const answer = await request("columns");
  return unpack(answer.buffers[0], answer.tokens, extra);
}

/** A latent's strongest token, or nothing. @param {Columns} columns @param {number} place */
export function topToken(columns, place) {
  const token = columns.token[place];
  return token ? chip(columns.tokens[token]) : null;
}
