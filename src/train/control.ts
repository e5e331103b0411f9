// Pause, resume and stop of a run: asked from outside, obeyed by the step loop between steps; and
// the time that a run has worked.

/** Handed to a run; the loop calls `gate` between steps. */
export class RunControl {
  private release: (() => void) | null = null;
  private waiting: Promise<void> | null = null;
  /**
   * How often it was asked to stop: the first time ends the run, one during a validation that too.
   */
  stops = 0;

  get stopped(): boolean {
    return this.stops > 0;
  }

  get paused(): boolean {
    return this.waiting !== null;
  }

  /** Asks the run to wait after the current step. Weights stay on the device. */
  pause(): void {
    this.waiting ??= new Promise((resolve) => {
      this.release = resolve;
    });
  }

  /** Lets a paused run go on. */
  resume(): void {
    this.release?.();
    this.release = null;
    this.waiting = null;
  }

  /** Ends the run after the current step; what was trained is kept. */
  stop(): void {
    this.stops++;
    this.resume();
  }

  /**
   * Waits while paused. Resolves with false once stopped. `onPause` is told when a wait begins and
   * ends.
   */
  async gate(onPause?: (paused: boolean) => void): Promise<boolean> {
    while (this.waiting && !this.stopped) {
      onPause?.(true);
      await this.waiting;
      onPause?.(false);
    }
    return !this.stopped;
  }
}

/** Seconds of work since a run began, pauses left out. */
export class Clock {
  private started = performance.now();
  private pausedSince = 0;

  start(): void {
    this.started = performance.now();
  }

  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Leaves out what lies between paused(true) and paused(false). */
  paused(begins: boolean): void {
    if (begins) this.pausedSince = performance.now();
    else this.started += performance.now() - this.pausedSince;
  }
}
