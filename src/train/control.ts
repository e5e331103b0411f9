// Pause, resume and stop of a run: asked from outside, obeyed by the step loop between steps; and
// the time that a run has worked.

/** Handed to a run; the loop of each stage calls `gate` between steps. */
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

  /** Forgets stops: what they ended is over, and another stage begins. */
  begin(): void {
    this.stops = 0;
  }

  /** Waits while paused; false once stopped. `onPause` is called as a wait begins and ends. */
  async gate(onPause: (paused: boolean) => void | Promise<void>): Promise<boolean> {
    while (this.waiting && !this.stopped) {
      await onPause(true);
      await this.waiting;
      await onPause(false);
    }
    return !this.stopped;
  }
}

/** Seconds of work, pauses left out. */
export class Clock {
  private since: number | null = null;

  /** @param before seconds counted already */
  constructor(private before = 0) {}

  get seconds(): number {
    return this.before + (this.since === null ? 0 : (performance.now() - this.since) / 1000);
  }

  start(): void {
    this.since = performance.now();
  }

  stop(): void {
    this.before = this.seconds;
    this.since = null;
  }
}
