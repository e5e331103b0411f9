// What the trainer and the data worker say to each other over their own port. Types only.
import type { Choices } from '../../data/dataset/example.ts';

/** What the trainer asks of the data worker over their own port. */
export interface DataPortApi {
  examples(): TrainingData;
  /**
   * The held-out rows that came with the data, or else these rows of the data. Rows without an
   * answer are left out.
   */
  heldOut(rows: Int32Array<ArrayBuffer>): HeldOutRow[];
}

/**
 * All examples end to end: ids and labels, where each example starts (examples + 1 entries), and
 * the files in their order.
 */
export interface TrainingData {
  ids: Int32Array<ArrayBuffer>;
  labels: Int32Array<ArrayBuffer>;
  starts: Int32Array<ArrayBuffer>;
  files: { name: string; examples: number }[];
}

/** A row to check answers with. */
export interface HeldOutRow {
  /** For people: the prompt and the expected answer. */
  prompt: string;
  expected: string;
  promptIds: Int32Array<ArrayBuffer>;
  /** Null: ids are compared. */
  answer: string | null;
  answerIds: Int32Array<ArrayBuffer>;
  /** Of a question with choices, with their texts. */
  choices: (Choices & { texts: string[] }) | null;
}
