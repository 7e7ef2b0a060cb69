// What passes between the files: the traits that Python gives to each widget, and what the panels give each other.

/** What a widget begins with; made by `mount`. `S` are its traits. */
interface Ui<S> {
  view: HTMLElement; // the root; what a widget shows is appended to it
  state: S; // the traits, each read from the model when it is asked for
  set(changes: Partial<S>): void; // change traits, and tell Python
  on(keys: (keyof S)[], draw: () => void): void; // draw at once whenever one of the traits changes
  soon(keys: (keyof S)[], draw: () => void): void; // the same, once for all traits of one update
  request: Ask;
  ask(method: string, params?: Record<string, unknown>, done?: (answer: any) => void): void; // a request that shows its error
  say(message: string): void; // show what went wrong; nothing: take it away
  tip: Tip;
  signal: AbortSignal;
  atEnd(undo: () => void): void; // undo something when the view goes
}
type Ask = (method: string, params?: Record<string, unknown>) => Promise<any>;
type Tip = { show(anchor: Element, ...content: (Node | string)[]): void; hide(): void };
type Pairs = [string, string | Node][]; // names and values
type Span = { low: number; high: number };
/** `true` gives an empty attribute; false, null and undefined give none. */
type Attributes = Record<string, string | number | boolean | null | undefined>;

/**
 * A piece of text as tokens. `text` has one string per group of tokens that together are whole characters; `size` says how
 * many tokens each group has (absent: one each); `labels` names the tokens of larger groups, by position.
 */
type TokenText = { ids: number[]; text: string[]; size?: number[]; labels?: Record<string, string>; special?: number[]; name?: string };

type Histogram = { lo: number[]; hi: number[]; count: number[] };
type Line = {
  name: string;
  key?: string; // the name in the chart's key, if it is another one
  minor?: boolean; // a small part of the others: it may stretch the axis by one decade, not more
  y: ArrayLike<number>; // a gap where a value is not finite
  color: number; // 0 to 5
  dashed?: boolean;
};
type Chart = {
  title: string;
  x: ArrayLike<number>[]; // one for each line
  lines: Line[];
  log?: boolean;
  zero?: boolean; // the y axis begins at 0
  mark?: number | null; // a value to aim at
};

/** The columns of many latents, as saelab/widgets/columns.py packs them. */
type Columns = {
  n: number;
  latent: Uint32Array;
  count: Uint32Array; // at how many positions each fires
  mean: Float32Array;
  max: Float32Array;
  token: Uint32Array; // place in `tokens`; 0: none
  tokens: string[];
  rest: Float32Array; // what follows them
};

// ------------------------------------------------------------------------------------------------ LatentDashboard

type Example = {
  text: TokenText; values: number[]; centre: number; start: number; row: number; position: number; doc: number; value: number; count: number;
};
type Neighbour = { latent: number; similarity: number; label: string; token: string | null };
type Reason = { reason: string };
type Payload = {
  latent: number; d_sae: number; counted: number; excluded: number; stats: Record<string, number | null>; decoder_norm?: number | null;
  histogram: Histogram; examples: { top: Example[]; random: Example[] };
  logits: { up: [string, number][]; down: [string, number][] } | Reason;
  nearest: Record<"decoder" | "encoder" | "coactivation", Neighbour[] | Reason>;
};
type Tried = {
  prompt?: string; text?: TokenText; strongest?: [number, number][][]; labels?: Record<string, string>; tokens?: Record<string, string | null>; latent?: number; values?: number[];
  notice?: string; // of a text longer than the rows that the SAE was trained on
};
type Ablated = Effects & { latent: number; row: number; selected: number | null; running?: boolean };
type Dashboard = {
  latent: number; payload: Payload; tab: "top" | "interval" | "random"; brush: [number, number] | null; one_per_document: boolean;
  selected_sequence: number | null; selected_token: number | null; show_whitespace: boolean; vmin: number | null; vmax: number | null;
  prompt: string; tried: Tried; ablated: Partial<Ablated>; cannot_try: string; label: string; note: string; source: string;
  available: number[] | null; // in a saved page: the latents it holds
  read_only: boolean;
};

// -------------------------------------------------------------------------------------------------- LatentCompare

/** One side of a passage: `other` is the other latent's activation on each token. */
type Compared = Example & { other: number[] };
type Kind = "both" | "a" | "b";
type Sides<T> = { a: T; b: T };
type Pair = {
  latent: number; partner: number; score: number; second: number | null; q: number; matched: boolean; mutual: boolean;
  sides: Sides<Pick<Payload, "latent" | "d_sae" | "counted" | "excluded" | "stats" | "decoder_norm" | "histogram" | "logits"> & { label: string }>;
  positions: Record<Kind, number>; texts: Record<Kind, Sides<Compared>[]>;
};
type Compare = {
  latent: number; payload: Pair; pairs: { latent: number; partner: number; score: number; matched: boolean; token: string; partner_token: string }[];
  n_pairs: number; about: Sides<string> & { by: string; of: string }; show_whitespace: boolean; read_only: boolean;
};

// ------------------------------------------------------------------------------------------------------ EffectMap

/** What the effects of ablating a latent on a text are, and how they are shown. */
type Effects = {
  text: TokenText; following: (string | null)[]; edited: number[]; numbers: Record<string, DataView>; votes: Record<string, string[][]>;
  weights: Record<string, DataView>; has_direct: boolean;
};
type Measure = "loss_diff" | "kl" | "activation";
type Shown = { measure: Measure; direct: boolean; selected_token: number | null; vmax: number | null; show_whitespace: boolean };
type Shows = Effects & Shown;
type GetShows = () => Shows;
type EffectMap = Shows & { latent: number | string; d_sae: number; can_ask: boolean };

// ---------------------------------------------------------------------------------------------- ActivationHeatmap

type Heatmap = {
  latents: number[]; latent: number | null; names: string[]; tokens: (string | null)[]; together: boolean; sequences: TokenText[]; first: number; n_sequences: number;
  page: number; n_pages: number;
  values: DataView; percentiles: DataView; // float32, (latents, tokens of the page), or empty
  maxima: number[]; vmin: number | null; vmax: number | null; show_whitespace: boolean;
  selected_sequence: number | null; selected_token: number | null;
  selected_span: number[] | null; // sequence, start, stop
  can_ask: boolean;
};

type TextRow = { row: HTMLElement; spans: HTMLElement[]; values: Float32Array; offset: number };
type TextGrid = { node: HTMLElement; rows: TextRow[]; drawSelection(): void; describe(row: number, position: number): Pairs };

// ------------------------------------------------------------------------------------------ LatentTable, LatentMap

type Found = {
  query?: string; mode?: string; matches?: number; failed?: string;
  rows?: [latent: number, hits: number, precision: number, recall: number, f1: number][];
};
type Table = {
  latent: number; selected: number[]; query: string; mode: "text" | "regex" | "name"; sort: string; descending: boolean;
  density: number[] | null; show_dead: boolean; only_labelled: boolean; d_sae: number; counted: number; labels: Record<string, string>; sources: Record<string, string>;
  found: Found; read_only: boolean; packed: DataView; tokens: string[]; texts: string[] | null;
  measure: string; measures: string[]; // of the columns kept beside the index: the one shown, and all
};
type LatentMap = {
  latent: number; selected: number[]; colour: "density" | "max" | "label"; show_dead: boolean; d_sae: number; counted: number;
  labels: Record<string, string>; sources: Record<string, string>; groups: Record<string, string>; about: string; read_only: boolean; packed: DataView; tokens: string[];
};
/** Centre of the view, in the places' own units. */
type Camera = { x: number; y: number; zoom: number; width: number; height: number };
type Scene = {
  columns: Columns | null; placeOf: Int32Array; // latent -> place
  bucket: Uint8Array; // number of the colour of each point; 255: not drawn
  colours: string[]; camera: Camera;
  lasso: [number, number][]; // in pixels
  moving: boolean;
  only: Set<number>; // colours of the groups that are drawn; empty: all
};

// ------------------------------------------------------------------------------------------------------ N2GEditor

type PatternNode = {
  id: number;
  parent: number; // 0 for the root, which is not drawn
  kind: "tok" | "any" | "gap" | "not" | "start" | "more"; // `more` stands for nodes that are not drawn
  ids: number[]; text: string[]; lo: number; hi: number; imp: number | null;
  end: { value: number; n: number; n_fire?: number; sum?: number } | null;
  locked: boolean;
};
type Placed = { node: PatternNode; lines: string[]; x: number; y: number; width: number; height: number; depth: number };
type Plan = { placed: Placed[]; width: number; height: number };
type Quality = "precision" | "recall" | "f1";
type Interval = [number, number] | null;
type Score = Record<Quality, number | null> & {
  tp: number; fp: number; fn: number; split?: string; on?: string; tokens?: number;
  precision_interval?: Interval | null; recall_interval?: Interval | null; f1_interval?: Interval | null;
};
type Delta = Record<"tp" | "fp" | "fn", number>;
type Step = { op: string; text: string; note: string; delta: Delta | null; f1: number | null };
type N2G = {
  latent: number | null; nodes: PatternNode[]; reason: string; selected: number | null; score: Score | null;
  before: Score | null; // without any edit
  baselines: Record<string, Score>; score_reason: string;
  history: Step[]; done: number; // with the edits that were taken back; how many are in effect
  final: (Score & { done: number }) | null; read_only: boolean;
};
type Preview = {
  text: string; before: Score | null; after: Score | null; delta: Delta | null; patterns: Record<"added" | "removed" | "revalued", string[]>;
};
type Pending = { op: string; args: Record<string, unknown> };
type Stage = (op: string, args: Record<string, unknown>) => void; // shows what an edit would change
type Sample = {
  text: TokenText; values: number[]; centre: number; value: number; predicted: number; node: number; token_index: number; row: number;
  position: number; before: { id?: number; text?: string; reason?: string } | null;
};

// ------------------------------------------------------------------------------------------------- SteeringPanel

type Written = TokenText & { differs: number[] };
type Edit = { latent: number | string; strength: number }; // a direction by its name
type Swept = Edit & { perplexity: number | null; activation: number | null; repetition: number | null; text: string };
type Steering = {
  prompt: string; edits: Edit[]; mode: string; modes: Record<string, { title: string; unit: string; sign: string }>;
  positions: "all" | "prompt" | "generated" | "last"; max_new_tokens: number; temperature: number; factors: number[]; swept: Swept[];
  seed: number; schedule?: number[] | null; d_sae: number; directions: string[]; running: boolean; status: string; baseline: Written | null; steered: Written | null;
  said: Record<string, any>; // settings of the texts that are shown
  about: Record<string, { label: string; token: string | null; max: number; limit: number | null }>; read_only: boolean;
};

// ------------------------------------------------------------------------------------------------ TrainingMonitor

type Phase = "empty" | "preparing" | "running" | "stopping" | "stopped" | "ended" | "failed";
type Training = { // lists have one item per SAE
  phase: Phase; heading: string; names: string[]; d_sae: number[]; dead_after: (number | null)[]; target: (number | null)[];
  columns: string[]; points: DataView; // float32, (SAEs, points, columns)
  tokens: number; budget: number; seconds: number; rate: number | null; hints: string[]; can_resume: boolean; read_only: boolean;
};
type Curves = Record<string, Float32Array>; // the columns of one SAE by name
