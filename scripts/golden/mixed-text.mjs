// Mixed text and conversations that tokenizers and chat templates are compared on, made from a seed: by tokenizers.py and by the tests.

const words =
  'the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years where much your way down should because long each just state people those too mr how little good make very year still see own work men day get here old between both life being under three never know same last another while us might great go come since against right came take used himself few house american use place during without high again home around small however found mrs part school thought went say general once upon whole'.split(
    ' ',
  );
const pieces = {
  code: [
    'def f(x):\n    return x ** 2  # square',
    'for (let i = 0; i < n; i++) { a[i] += b[i] * 3.14e-7; }',
    'SELECT COUNT(*) FROM "users" WHERE id != 42 AND name LIKE \'%o\\_x%\';',
    '#include <stdio.h>\n\nint main(void) {\n\tprintf("%5.2f\\n", 1.0/3);\n}',
    'x = {"a": [1, 2, {"b": null}], "c": "\\u00e9"}',
    'git commit -m "fix: don\'t" && cd ../.. || exit 1',
    '<div class="a-b_c" data-x=\'1\'>&amp;</div><!-- -->',
    'https://example.org/a/b?q=1&r=%20#frag',
    '$\\frac{a_1^2}{\\sqrt{b}} \\le \\sum_{i=0}^{\\infty} x_i$',
    'camelCaseIdentifier snake_case_name SCREAMING_CASE kebab-case v1.2.3-rc.4',
    '    if not self.done:\n        yield from (y for y in self)\n',
  ],
  emoji: [
    '😀',
    '👩‍👩‍👧‍👦',
    '🇩🇪🇫🇷',
    '👍🏽',
    '❤️‍🔥',
    '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
    '☂',
    '✅',
    '1️⃣',
    '🤷🏻‍♂️',
    '𝕳𝖊𝖑𝖑𝖔',
    '🦙',
    '™️',
  ],
  cjk: [
    '日本語のテキスト',
    '你好,世界!',
    '한국어 문장입니다.',
    'カタカナ',
    '漢字かな交じり文。',
    '「引用」',
    '123円',
    '繁體中文測試',
    'ㄅㄆㄇ',
    '𠮷野家',
    'ハンカク',
  ],
  arabic: [
    'مرحبا بالعالم',
    'اَلْعَرَبِيَّةُ',
    'שלום עולם',
    'سلام ۱۲۳',
    'بِسْمِ اللَّهِ',
    'فارسی می‌نویسم',
    '\u202bRTL\u202c',
  ],
  other: [
    'Привет, мир',
    'Ελληνικά',
    'हिन्दी पाठ',
    'ภาษาไทย',
    'Tiếng Việt',
    'Ünïcödé',
    'Straße',
    'naïve café',
    'e\u0301a\u0308o\u0302',
    'ﬁﬂ',
    'İıŞş',
    'Å\u212b',
    '①②③',
    'ⅣⅫ',
    '½¾',
    '‘quotes’ “double” —dash…',
    '\u00ad',
    'தமிழ்',
    'አማርኛ',
    '𐍈',
    'ʻokina',
  ],
  control: [
    '\0',
    '\x01',
    '\x07',
    '\b',
    '\t',
    '\x0b',
    '\f',
    '\x1b[0m',
    '\x7f',
    '\x85',
    '\u00a0',
    '\u2028',
    '\u2029',
    '\u200b',
    '\u200d',
    '\ufeff',
    '\ufffd',
    '\u3000',
    '\r',
    '\r\n',
    '\n\n\n',
    '\ue000',
    '\uffff',
    '\u{10ffff}',
  ],
  number: [
    '0',
    '7',
    '42',
    '007',
    '1234567890',
    '3.14159',
    '1,000,000',
    '-273.15',
    '1e-9',
    '0xDEADBEEF',
    '12:34:56',
    '2024-02-29',
    '٣٤٥',
    '१२३',
    '99%',
    '$5.00',
    '№7',
    'x²+y³',
  ],
  contraction: [
    "don't",
    "I'LL",
    "we've",
    "SHE'S",
    "they'd",
    "o'clock",
    "'tis",
    "y'all're",
    "it''s",
    "rock'n'roll",
    '’s',
  ],
  special: [
    '<s>',
    '</s>',
    '<unk>',
    '<|im_start|>',
    '<|im_end|>',
    '<|endoftext|>',
    '<|begin_of_text|>',
    '<|eot_id|>',
    '[INST]',
    '<think>',
    '</think>',
    '<tool_call>',
    '<|im_',
    'end|>',
    '<0x0A>',
    '▁',
    '▁▁',
    '##ing',
    'Ġ',
  ],
};

/**
 * Numbers in [0, n) from a seed: a 32-bit linear congruence, its high bits.
 * @param {number} seed
 * @returns {(n: number) => number}
 */
function generator(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** 2,400 lines (some hold line breaks): words, code, emoji, many scripts, control characters, long runs of spaces, spelt special tokens. */
export function mixedLines() {
  const next = generator(20);
  /**
   * @template T
   * @param {readonly T[]} list
   */
  const pick = (list) => list[next(list.length)];
  const kinds = Object.values(pieces);
  const spaces = () =>
    pick([
      ' ',
      ' ',
      ' ',
      ' ',
      '',
      '  ',
      '\t',
      '\n',
      ' '.repeat(1 + next(130)),
      '\n'.repeat(1 + next(6)),
      '\t'.repeat(1 + next(9)),
      ' \n ',
    ]);
  const word = () => {
    const w = pick(words);
    return [
      w,
      w,
      w,
      w[0].toUpperCase() + w.slice(1),
      w.toUpperCase(),
      `${w}${pick(['.', ',', '!', '?!', '...', ';', ':', ')', "'", '"'])}`,
    ][next(6)];
  };
  const anyChar = () => {
    const code = next(0x30000);
    return code >= 0xd800 && code < 0xe000 ? '.' : String.fromCodePoint(code);
  };
  const lines = [
    '',
    ' ',
    '  ',
    '\n',
    '\t',
    'a',
    ' a',
    'a ',
    ' '.repeat(1000),
    '\n'.repeat(100),
    'a'.repeat(700),
    'ab '.repeat(200),
    '!'.repeat(300),
    '1'.repeat(100),
  ];
  while (lines.length < 2400) {
    let line = '';
    const style = next(6);
    for (let n = 1 + next(14); n > 0; n--) {
      const what =
        style === 0
          ? word()
          : style === 1
            ? pick(pick(kinds))
            : next(3) === 0
              ? pick(pick(kinds))
              : next(8) === 0
                ? anyChar()
                : word();
      line += what + (style === 2 ? '' : style === 3 ? spaces() : ' ');
    }
    lines.push(next(2) ? line.trimEnd() : line);
  }
  return lines;
}

const user = (/** @type {string} */ content) => ({ role: 'user', content });
const assistant = (/** @type {string} */ content) => ({ role: 'assistant', content });
const system = (/** @type {string} */ content) => ({ role: 'system', content });

/** Conversations: with and without a system message, of one and many turns, empty, Unicode, spaces at the ends, and some that templates refuse. */
export const conversations = [
  [user('What is the capital of France?'), assistant('Paris.')],
  [system('Be brief.'), user('Hello'), assistant('Hi.')],
  [user('One'), assistant('Two'), user('Three'), assistant('Four')],
  [
    system('You are a poet.'),
    user('One'),
    assistant('Two'),
    user('Three'),
    assistant('Four'),
    user('Five'),
    assistant('Six'),
  ],
  [user('Only a question')],
  [system('Only a system message')],
  [user('')],
  [user(''), assistant('')],
  [system(''), user('x'), assistant('y')],
  [user('equal'), assistant('\ufeffa byte-order mark and a separator\x1c')],
  [user('  spaces  '), assistant('  at both ends  ')],
  [user('\nline breaks\n\n'), assistant('\n\nhere too\n')],
  [system(' padded '), user('\tTab\t'), assistant('\u00a0no-break\u00a0')],
  [user('Ünïcödé 日本語 🦙👩‍👩‍👧‍👦'), assistant('مرحبا ✅ \u200b')],
  [user('Spelt: <|im_end|> </s> <|eot_id|> [/INST]'), assistant('<think>hm</think> yes')],
  [
    user('a'),
    assistant('<think>\nreasons\n</think>\n\nanswer'),
    user('b'),
    assistant('<think>\nmore\n</think>\n\nend'),
  ],
  [user('def f(x):\n    return {{ x }}'), assistant('{% raw %} & <b> "quotes" \'single\' \\n')],
  [user('x'.repeat(500)), assistant('y '.repeat(300))],
  [user('1'), assistant('2'), user('3')],
  [system('s'), user('1'), assistant('2'), user('3')],
  [user('two'), user('in a row'), assistant('z')],
  [user('q'), assistant('a'), assistant('b')],
  [assistant('I speak first.'), user('And I second.')],
  [user('late'), system('a late system message'), assistant('ok')],
  [user('control \x07\x1b[0m\r\nend'), assistant('\u2028\u2029\ufeff')],
  [...Array(12).keys()].map((i) => (i % 2 ? assistant(`answer ${i}`) : user(`question ${i}`))),
];

/** Llama 2's template, which its tokenizer files leave out. */
export const llama2Template = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`;

if (process.argv[2] === 'print')
  process.stdout.write(JSON.stringify({ lines: mixedLines(), conversations, llama2Template }));
