// Tokens a second, seconds a step and time left: of a run from its last steps, of other work from
// its begin.
const window = 20;

/** How fast a stage goes; tokens a second are null where its steps count none. */
export interface Pace {
  tokensPerSecond: number | null;
  secondsPerStep: number;
  secondsLeft: number;
}

/** Takes every step's tokens (0: not counted) and cumulative seconds. */
export class Speed {
  #past: { step: number; tokens: number; seconds: number }[] = [];
  #tokens = 0;

  add(m: { step: number; tokens: number; seconds: number }, total: number): Pace {
    this.#tokens += m.tokens;
    this.#past.push({ step: m.step, tokens: this.#tokens, seconds: m.seconds });
    if (this.#past.length > window) this.#past.shift();
    const last = this.#past[this.#past.length - 1];
    const first = this.#past.length > 1 ? this.#past[0] : { step: 0, tokens: 0, seconds: 0 };
    const seconds = Math.max(1e-6, last.seconds - first.seconds);
    const secondsPerStep = seconds / (last.step - first.step);
    const tokens = last.tokens - first.tokens;
    return {
      tokensPerSecond: tokens === 0 ? null : tokens / seconds,
      secondsPerStep,
      secondsLeft: secondsPerStep * (total - last.step),
    };
  }
}

/**
 * Seconds that the rest of the work takes at its speed since `started` (performance.now()); null
 * before any is done.
 */
export const timeLeft = (started: number, done: number, total: number): number | null =>
  done > 0 ? ((performance.now() - started) / 1000) * (total / done - 1) : null;
