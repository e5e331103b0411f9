// Tokens a second and time left, from the last steps.
const window = 20;

/** Takes every step's tokens and cumulative seconds. */
export class Speed {
  #past: { step: number; tokens: number; seconds: number }[] = [];
  #tokens = 0;

  add(m: { step: number; tokens: number; seconds: number }, total: number): { tokensPerSecond: number; secondsLeft: number | null } {
    this.#tokens += m.tokens;
    this.#past.push({ step: m.step, tokens: this.#tokens, seconds: m.seconds });
    if (this.#past.length > window) this.#past.shift();
    const last = this.#past[this.#past.length - 1];
    const first = this.#past.length > 1 ? this.#past[0] : { step: 0, tokens: 0, seconds: 0 };
    const seconds = Math.max(1e-6, last.seconds - first.seconds);
    const perStep = seconds / (last.step - first.step);
    return { tokensPerSecond: (last.tokens - first.tokens) / seconds, secondsLeft: perStep * (total - last.step) };
  }
}
