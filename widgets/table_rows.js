/** Which rows of a table are shown, and in which order: numbers alone, nothing drawn. */

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
 * @param {{ key: string, descending: boolean, labels: Record<string, string>, scores: Map<number, number[]>, measure?: Float32Array }} by
 */
export function arrange(columns, rows, { key, descending, labels, scores, measure = new Float32Array(0) }) {
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
  } else if (key === "measure") value = (i) => measure[i] ?? NaN;
  else if (place >= 0) value = (i) => scores.get(columns.latent[i])?.[place] ?? NaN;
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

/**
 * In a saved page: latents among whose examples the text is.
 * @param {Table} state @param {Columns} columns @param {(message: string) => void} say @returns {Found}
 */
function searchHere({ query, mode, texts }, columns, say) {
  let test = (/** @type {string} */ t) => t.includes(query);
  if (mode === "regex") {
    try {
      const pattern = new RegExp(query, "u");
      test = (t) => pattern.test(t);
    } catch (error) {
      const failed = /** @type {Error} */ (error).message;
      say(failed);
      return { mode, rows: [], failed };
    }
  }
  const hits = (texts ?? []).map((all) => all.split("\n\n").filter(test).length);
  return { mode, rows: hits.flatMap((n, i) => (n ? [[columns.latent[i], n, NaN, NaN, NaN]] : [])) };
}

/** The rows a table shows. */
export class Rows {
  /** @type {Columns | null} */
  columns = null;
  /** @type {Uint32Array} places in the columns, in the order shown */
  order = new Uint32Array(0);
  /** @type {Map<number, number>} latent -> place in `order` */
  placeOf = new Map();
  /** @type {Map<number, number[]>} latent -> hits, precision, recall, f1 */
  scores = new Map();
  version = 0; // goes up when what a row says may have changed

  /** @param {number} i */
  latentAt(i) { return this.columns?.latent[this.order[i]] ?? 0; }

  /** Latents of a range of rows, both ends included. @param {number} a @param {number} b */
  latents(a, b) {
    return Array.from(this.order.subarray(Math.min(a, b), Math.max(a, b) + 1), (place) => this.columns?.latent[place] ?? 0);
  }

  /** The measure that is shown, by place. @param {Table} state */
  measured({ measure, measures }) {
    const at = measures.indexOf(measure), n = this.columns?.n ?? 0;
    return at < 0 || !this.columns ? new Float32Array(0) : this.columns.rest.subarray(at * n, (at + 1) * n);
  }

  /** Rows anew, as the traits ask for them; what was searched and found. @param {Table} state @param {(message: string) => void} say */
  arrange(state, say) {
    const columns = /** @type {Columns} */ (this.columns);
    const { query, labels, counted, density } = state;
    const byName = state.mode === "name";
    const found = query && state.texts && !byName ? searchHere(state, columns, say) : state.found;
    this.scores = new Map((found.rows ?? []).map(([latent, ...rest]) => [latent, rest]));
    const [least, most] = (density ?? [0, Infinity]).map((share) => share * counted);
    const rows = filtered(columns, {
      labels, dead: state.show_dead, labelled: state.only_labelled, name: byName ? query : "",
      only: found.mode ? new Set(this.scores.keys()) : null, least, most,
    });
    this.order = arrange(columns, rows, { key: state.sort, descending: state.descending, labels, scores: this.scores, measure: this.measured(state) });
    this.placeOf = new Map(Array.from(this.order, (place, i) => [columns.latent[place], i]));
    this.version += 1;
    return found;
  }
}
