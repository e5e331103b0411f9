// Command-line arguments: values, lists, and what is refused.
import { describe, expect, test } from 'vitest';
import { InputError } from '../util/error.ts';
import {
  choice,
  decimal,
  flag,
  optionLines,
  parseOptions,
  required,
  text,
  texts,
  whole,
} from './options.ts';

const table = {
  model: required(text('DIR', 'model folder')),
  data: texts('FILE', 'datasets'),
  maxNewTokens: whole('length', 1, 100),
  temperature: decimal('T', 'temperature', 0, 10),
  kernels: choice(['tile', 'register'], 'kernels'),
  json: flag('as JSON'),
};
const parse = (...argv: string[]) => parseOptions(argv, table);

describe('parseOptions', () => {
  test('reads values of every kind; what is not given is undefined, false or empty', () => {
    expect(parse('--model', 'm')).toEqual({
      model: 'm',
      data: [],
      maxNewTokens: undefined,
      temperature: undefined,
      kernels: undefined,
      json: false,
    });
    expect(
      parse(
        '--json',
        '--model=m',
        '--max-new-tokens',
        '7',
        '--temperature',
        '0.5',
        '--kernels',
        'tile',
      ),
    ).toEqual({
      model: 'm',
      data: [],
      maxNewTokens: 7,
      temperature: 0.5,
      kernels: 'tile',
      json: true,
    });
  });
  test('a list takes several values, after one flag or after several', () => {
    expect(parse('--data', 'a', 'b', '--model', 'm', '--data', 'c').data).toEqual(['a', 'b', 'c']);
  });
  test.each([
    [['--model'], /'--model <value>' argument missing/],
    [[], /^--model DIR must be given\.$/],
    [['--model', 'm', '--modle', 'x'], /Unknown option '--modle'/],
    [['--model', 'm', 'stray'], /Unexpected argument "stray"/],
    [['--model', 'a', '--model', 'b'], /--model is given twice/],
    [['--model', ''], /--model is empty/],
    [['--model', 'm', '--json=yes'], /'--json' does not take an argument/],
    [
      ['--model', 'm', '--max-new-tokens', '1.5'],
      /--max-new-tokens is "1.5", not a whole number from 1 to 100/,
    ],
    [['--model', 'm', '--max-new-tokens', '101'], /"101"/],
    [['--model', 'm', '--max-new-tokens', '0x10'], /"0x10"/],
    [
      ['--model', 'm', '--temperature', 'warm'],
      /--temperature is "warm", not a number from 0 to 10/,
    ],
    [['--model', 'm', '--temperature', 'NaN'], /"NaN"/],
    [['--model', 'm', '--temperature=-1'], /"-1"/],
    [['--model', 'm', '--temperature', '-1'], /'--temperature' argument is ambiguous/],
    [['--model', 'm', '--kernels', 'fast'], /--kernels is "fast", not one of tile, register/],
  ])('%j is refused', (argv, message) => {
    expect(() => parse(...argv)).toThrow(InputError);
    expect(() => parse(...argv)).toThrow(message);
  });
});

test('help names every option with its value', () => {
  const lines = optionLines(table).split('\n');
  expect(lines.length).toBe(6);
  expect(lines[0]).toMatch(/^ {2}--model DIR\s+model folder \(required\)$/);
  expect(lines[1]).toMatch(/--data FILE …/);
  expect(lines[2]).toMatch(/--max-new-tokens N/);
});
