/** Which rows of a table are shown, and in which order: numbers alone, nothing drawn. */

/** @typedef {import("./columns.js").Columns} Columns */

/**
 * Places of the rows to show, in order of latent.
 * @param {Columns} columns
 * @param {object} want
 * @param {Record<string, string>} want.labels
 * @param {boolean} want.dead
 * @param {boolean} want.labelled
 * @param {string} want.name part of a label or of the strongest token, case ignored
 * @param {Set<number> | null} want.only latents
 * @param {number} want.least firings
 * @param {number} want.most
 * @returns {Uint32Array}
 */
export function filtered(columns, want) {
  const { n, latent, count, token, tokens } = columns;
  const name = want.name.toLowerCase();
  const hit = name ? tokens.map((t) => t.toLowerCase().includes(name)) : null;
  const out = new Uint32Array(n);
  let size = 0;
  for (let i = 0; i < n; i += 1) {
    if (!want.dead && count[i] === 0) continue;
    if (count[i] < want.least || count[i] > want.most) continue;
    if (want.only && !want.only.has(latent[i])) continue;
    if (want.labelled && !want.labels[latent[i]]) continue;
    if (hit && !(token[i] && hit[token[i]]) && !(want.labels[latent[i]] ?? "").toLowerCase().includes(name)) continue;
    out[size] = i;
    size += 1;
  }
  return out.slice(0, size);
}

/** Place of each text in alphabetical order; equal texts share one, the empty text comes last. @param {string[]} texts */
function ranks(texts) {
  const order = [...new Set(texts)].sort((a, b) => (a === "" ? 1 : b === "" ? -1 : a.localeCompare(b)));
  const rank = new Map(order.map((t, i) => [t, i]));
  return texts.map((t) => rank.get(t) ?? 0);
}

/**
 * The rows in order of a column; equal ones by latent. What is undefined comes last either way.
 * @param {Columns} columns @param {Uint32Array} rows
 * @param {{ key: string, descending: boolean, labels: Record<string, string>, scores: Map<number, number[]> }} by
 */
export function arrange(columns, rows, { key, descending, labels, scores }) {
  const place = ["hits", "precision", "recall", "f1"].indexOf(key);
  /** @type {(i: number) => number} */
  let value;
  if (key === "token") {
    const rank = ranks(columns.tokens);
    value = (i) => (columns.token[i] ? rank[columns.token[i]] : NaN);
  } else if (key === "label") {
    const named = Object.entries(labels);
    const rank = ranks(named.map(([, text]) => text));
    const of = new Map(named.map(([latent], i) => [Number(latent), rank[i]]));
    value = (i) => of.get(columns.latent[i]) ?? NaN;
  } else if (place >= 0) value = (i) => scores.get(columns.latent[i])?.[place] ?? NaN;
  else {
    const numbers = /** @type {Record<string, ArrayLike<number>>} */ (/** @type {unknown} */ (columns))[key];
    value = key === "mean" || key === "max" ? (i) => (columns.count[i] ? numbers[i] : NaN) : (i) => numbers[i];
  }
  const keys = new Float64Array(columns.n);
  for (const i of rows) {
    const v = value(i);
    keys[i] = Number.isNaN(v) ? Infinity : descending ? -v : v;
  }
  return rows.sort((a, b) => keys[a] - keys[b] || columns.latent[a] - columns.latent[b] || 0);
}
