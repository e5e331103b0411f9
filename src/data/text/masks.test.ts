// Which tokens carry loss, counted by hand: several templates, one and many turns, all turns or the
// last, tokens that reach over a boundary.
import { describe, expect, test } from 'vitest';
import { goldenText, tokenizerFolder } from '../../testing/text-fixture.ts';
import { BadRowError, renderChat, type Turns } from '../dataset/example.ts';
import { loadTokenizer } from './tokenizer.ts';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const dialogue = [
  { role: 'system', content: 'S' },
  user('one'),
  assistant('two'),
  user('three'),
  assistant('four five'),
];

/** The text with what is trained in ⟦ ⟧. */
async function marked(
  template: string,
  messages: { role: string; content: string }[],
  turns: Turns,
): Promise<string> {
  const tokenizer = await loadTokenizer(tokenizerFolder(template));
  const { ids, labels } = renderChat(messages, tokenizer, turns);
  const trained = (t: number) => labels[t] !== undefined && labels[t] !== -100;
  let text = '';
  for (const [t, id] of ids.entries()) {
    if (trained(t)) expect(labels[t]).toBe(id);
    text += `${trained(t) && !trained(t - 1) ? '⟦' : ''}${tokenizer.decode([id])}${trained(t) && !trained(t + 1) ? '⟧' : ''}`;
  }
  return text;
}

const { chatml, thinking, strict } = goldenText.templates;
const start = '<|im_start|>';
const end = '<|im_end|>';

describe('all turns', () => {
  test('each answer with its end-of-turn token; the line break after it is not trained', async () => {
    expect(await marked(chatml.template, dialogue, 'all')).toBe(
      `${start}system\nS${end}\n${start}user\none${end}\n${start}assistant\n⟦two${end}⟧\n${start}user\nthree${end}\n${start}assistant\n⟦four five${end}⟧\n`,
    );
  });
  test('the end-of-sequence token as end of turn', async () => {
    expect(
      await marked(
        strict.template,
        [user('one'), assistant('two'), user('x'), assistant('y')],
        'all',
      ),
    ).toBe('<|bos|>[INST] one [/INST]⟦ two <|end|>⟧[INST] x [/INST]⟦ y <|end|>⟧');
  });
  test('a last turn that is rendered otherwise than earlier ones', async () => {
    expect(await marked(thinking.template, dialogue.slice(1), 'all')).toBe(
      `${start}user\none${end}\n${start}assistant\n⟦two${end}⟧\n${start}user\nthree${end}\n${start}assistant\n⟦<think>\n\n</think>\n\nfour five${end}⟧\n`,
    );
  });
  test('a template without any end: to the end of the turn', async () => {
    const bare =
      "{% for m in messages %}{{ m.role[0] + ': ' + m.content + '\\n' }}{% endfor %}{% if add_generation_prompt %}a: {% endif %}";
    expect(await marked(bare, [user('x'), assistant('7')], 'all')).toBe('u: x\na: ⟦7\n⟧');
  });
  test('a token that reaches over the boundary is trained', async () => {
    // The tokenizer has a token for " a": the space belongs to the prompt, the letter to the
    // answer.
    const spaced =
      "{% for m in messages %}{{ '(' + m.role[0] + ') ' + m.content }}{% endfor %}{% if add_generation_prompt %}{{ '(a) ' }}{% endif %}";
    expect(await marked(spaced, [user('7'), assistant('a')], 'all')).toBe('(u) 7(a)⟦ a⟧');
  });
  test('a spelt end-of-turn token inside an answer is trained, and so is what follows it', async () => {
    expect(await marked(chatml.template, [user('x'), assistant(`a ${end} b`)], 'all')).toMatch(
      /⟦a <\|im_end\|> b<\|im_end\|>⟧\n$/,
    );
  });
  test('a question after the last answer carries no loss', async () => {
    expect(await marked(chatml.template, [user('x'), assistant('y'), user('z')], 'all')).toMatch(
      /⟦y<\|im_end\|>⟧\n<\|im_start\|>user\nz<\|im_end\|>\n$/,
    );
  });
});

test.each([chatml, thinking])('the last turn only', async ({ template }) => {
  const text = await marked(template, dialogue, 'last');
  expect(text.match(/⟦/g)).toHaveLength(1);
  expect(text).toMatch(/⟦(<think>\n\n<\/think>\n\n)?four five<\|im_end\|>⟧\n$/);
});

test('a template that changes the text before a turn cannot be masked', async () => {
  const counting =
    "{{ messages | length }}{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}assistant{% endif %}";
  const tokenizer = await loadTokenizer(tokenizerFolder(counting));
  expect(() => renderChat(dialogue, tokenizer)).toThrow(BadRowError);
  expect(() => renderChat(dialogue, tokenizer)).toThrow('changes the text before');
});
