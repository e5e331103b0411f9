// The question to the models, as it is typed: the prompt, and how it is answered.
import type { Form } from './fields.ts';

export interface Question {
  prompt: string;
  /** Maximum new tokens. */
  length: string;
  temperature: string;
  seed: string;
  /** The system prompt; null: that of the data. */
  system: string | null;
}

export const noQuestion: Question = {
  prompt: '',
  length: '64',
  temperature: '0',
  seed: '1',
  system: null,
};

/** One that the demo's models answer. */
export const demoPrompt = 'Make it passive: The fox saw the duck.';

const within = (text: string, low: number, high: number) =>
  text.trim() !== '' && Number(text) >= low && Number(text) <= high;

/** What is wrong, by field. */
export function questionProblems(question: Question): Partial<Record<keyof Question, string>> {
  const { length, temperature, seed } = question;
  return {
    ...(!(Number.isInteger(Number(length)) && within(length, 1, 4096)) && {
      length: 'enter a whole number from 1 to 4096',
    }),
    ...(!within(temperature, 0, 5) && { temperature: 'enter a number from 0 to 5' }),
    ...(!/^\d{1,15}$/.test(seed.trim()) && { seed: 'enter a whole number, 0 or more' }),
  };
}

/** The system prompt that a question has, '' for none. */
export const systemOf = (question: Question, form: Form): string =>
  question.system ?? form['data.system'];

/** How it is asked: as the trainer takes it. */
export function answerOptions(question: Question, form: Form) {
  const system = systemOf(question, form);
  return {
    prompt: question.prompt,
    maxNewTokens: Number(question.length),
    temperature: Number(question.temperature),
    topP: 1,
    seed: Number(question.seed),
    system: system.trim() === '' ? null : system,
    raw: form['data.template'] === 'none',
  };
}
