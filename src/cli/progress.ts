// Notes and progress on stderr: one updating line on a terminal, a line now and then elsewhere.
import type { Io } from './io.ts';

/** Elsewhere than on a terminal: milliseconds between two lines of one task. */
const SPARSE = 10_000;
/** On a terminal: milliseconds between two updates. */
const OFTEN = 100;

/** Whole seconds as 45 s, 3 min 20 s or 2 h 5 min. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** Tells how a command gets on. */
export class Progress {
  private task = '';
  private started = 0;
  private first = 0;
  private shown = 0;
  private line = false;
  private written = '';

  constructor(
    private readonly io: Pick<Io, 'err' | 'terminal'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A line that stays; the task goes on. */
  note(text: string): void {
    this.erase();
    this.io.err(`${text}\n`);
  }

  /** How far a task has come; the rest of its time is estimated from what it took so far. */
  update(task: string, done: number, total: number, details = ''): void {
    const time = this.now();
    const fresh = task !== this.task;
    if (fresh) {
      this.task = task;
      this.started = time;
      this.first = done;
    }
    const last = done >= total;
    if (!fresh && !last && time - this.shown < (this.io.terminal ? OFTEN : SPARSE)) return;
    this.shown = time;
    const spent = (time - this.started) / 1000;
    const since = done - this.first;
    const left =
      !last && since > 0 && spent > 1
        ? ` · ${duration((spent * (total - done)) / since)} left`
        : '';
    const text = `${task} ${done}/${total}${details && ` · ${details}`}${left}`;
    if (text === this.written) return;
    this.written = text;
    if (this.io.terminal) this.io.err(`\r\x1b[2K${text}`);
    else this.io.err(`${text}\n`);
    this.line = this.io.terminal;
  }

  /** Takes the updating line away. */
  clear(): void {
    this.erase();
    this.task = '';
  }

  private erase(): void {
    if (this.line) this.io.err('\r\x1b[2K');
    this.line = false;
    this.written = '';
  }
}
