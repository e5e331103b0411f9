// A search as a worker would report it: GSVs that move as under Adam, sent as UpperSeries. Driven
// by scripts/prove/heatmaps.mjs.
/**
 * A search to play.
 * @typedef {object} Sizes
 * @property {number} sites
 * @property {number} entries of a vector that counts experts
 * @property {number} experts
 * @property {number} rank
 * @property {number} rate
 *
 * @typedef {ReturnType<typeof start>} State
 */

/** @type {State | null} */
let state = null;

/**
 * Numbers in [0, 1) from a seed.
 * @param {number} seed
 */
const generator = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

/** @param {Sizes} sizes */
function start({ sites, entries, experts, rank, rate }) {
  const random = generator(7);
  /** @type {number[]} */
  const vectors = [];
  for (let s = 0; s < sites; s++) {
    vectors.push(entries);
    for (let i = 0; i < experts; i++) vectors.push(rank);
  }
  const values = Float32Array.from(
    { length: sites * (entries + experts * rank) },
    () => 0.3 * random(),
  );
  // Every vector is drawn to a size of its own, at times to another.
  const goals = vectors.map((length) => Math.floor(random() * length));
  return { random, vectors, values, goals, rate, step: 0 };
}

/**
 * One upper step: every entry moves by up to the learning rate, towards the goal more often than
 * not.
 * @param {State} s
 */
function advance(s) {
  let at = 0;
  s.vectors.forEach((length, v) => {
    if (s.random() < 0.01) s.goals[v] = Math.floor(s.random() * length);
    for (let k = 0; k < length; k++) {
      const towards = k === s.goals[v] ? 1 : -1;
      s.values[at + k] += s.rate * (0.25 * towards + (s.random() - 0.5));
    }
    at += length;
  });
}

/**
 * `count` steps as one event.
 * @param {State} s
 * @param {number} count
 */
function series(s, count) {
  const values = new Float32Array(s.values.length * count);
  const column = () => new Float64Array(count);
  const out = { step: column(), loss: column(), lambda: column(), share: column(), values };
  for (let i = 0; i < count; i++) {
    if (s.step > 0) advance(s);
    values.set(s.values, i * s.values.length);
    out.step[i] = s.step;
    out.loss[i] = s.step === 0 ? Number.NaN : 2 / (1 + s.step / 40);
    out.lambda[i] = 0.1;
    out.share[i] = 0.5;
    s.step++;
  }
  return out;
}

self.onmessage = ({ data }) => {
  if (data.type === 'start') state = start(data);
  const send = (/** @type {number} */ count) => {
    if (!state) return;
    const upper = series(state, count);
    self.postMessage({ type: 'upper', series: upper }, { transfer: [upper.values.buffer] });
  };
  if (data.type === 'send') send(data.count);
  if (data.type === 'every') setInterval(() => send(1), data.milliseconds);
};
