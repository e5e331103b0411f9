// Questions as token ids, with and without template and system prompt.
import { expect, test } from 'vitest';
import { goldenText, tokenizerFolder } from '../../testing/text-fixture.ts';
import { questionIds } from './question.ts';
import { loadTokenizer } from './tokenizer.ts';

const chatml = await loadTokenizer(tokenizerFolder(goldenText.templates.chatml.template));
const bare = await loadTokenizer(tokenizerFolder(null));
const plain = { system: null, raw: false };

test('with the template, with a system message before it, and as it stands', () => {
  const text = (asking: typeof plain | { system: string; raw: boolean }) =>
    chatml.decode(questionIds('the cat', asking, chatml));
  expect(text(plain)).toContain('the cat');
  expect(text(plain)).toMatch(/assistant\n$/);
  expect(text({ system: 'the mat', raw: false })).toMatch(/the mat.*the cat.*assistant\n$/s);
  expect(questionIds('the cat', { system: null, raw: true }, chatml)).toEqual(
    chatml.encodeStart('the cat'),
  );
  expect(questionIds('the cat', plain, bare)).toEqual(bare.encodeStart('the cat'));
});

test('a system prompt that would not be there is refused', () => {
  const asking = { system: 'the mat', raw: false };
  expect(() => questionIds('the cat', asking, bare)).toThrow(
    'The system prompt cannot be used: it needs a chat template',
  );
  expect(() => questionIds('the cat', { ...asking, raw: true }, chatml)).toThrow(
    'it needs a chat template',
  );
  const deaf = { ...chatml, template: () => 'nothing' };
  expect(() => questionIds('the cat', asking, deaf)).toThrow('leaves it out');
  const refusing = {
    ...chatml,
    template: () => {
      throw new Error('no');
    },
  };
  expect(() => questionIds('the cat', plain, refusing)).toThrow(
    'The chat template rejects the prompt (no)',
  );
});
