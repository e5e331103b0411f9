// docs/results.md: tables are put between their marks, the prose around them stays.
import { expect, test } from 'vitest';
import { withSection } from './prove/compare.mjs';

test('a new section is added at the end; an old one is replaced where it stands', () => {
  const one = withSection('# Results\n\nProse.\n', 'demo', 'first table\n');
  expect(one).toBe('# Results\n\nProse.\n\n<!-- compare demo -->\n\nfirst table\n\n<!-- /compare demo -->\n');
  const two = withSection(`${one}\nMore prose.\n`, 'second', 'other');
  const three = withSection(two, 'demo', 'new table');
  expect(three).toContain(
    '<!-- compare demo -->\n\nnew table\n\n<!-- /compare demo -->\n\nMore prose.\n\n<!-- compare second -->\n\nother',
  );
  expect(three).not.toContain('first table');
});
