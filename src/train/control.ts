// Pause, resume and stop of a run: asked from outside, obeyed by the step loop between steps.

/** Handed to a run; the loop calls `gate` between steps. */
export class RunControl {
  private release: (() => void) | null = null;
  private waiting: Promise<void> | null = null;
  stopped = false;

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
    this.stopped = true;
    this.resume();
  }

  /** Waits while paused. Resolves with false once stopped. `onPause` is told when a wait begins and ends. */
  async gate(onPause?: (paused: boolean) => void): Promise<boolean> {
    while (this.waiting && !this.stopped) {
      onPause?.(true);
      await this.waiting;
      onPause?.(false);
    }
    return !this.stopped;
  }
}
