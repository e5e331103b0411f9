// Whether models that are not here can be trained with the settings there are.
import { useEffect, useState } from 'react';
import { inWords } from '../../state/form.ts';
import { isOpen } from '../../state/run.ts';
import type { ShapeVerdict } from '../../worker/protocol/api.ts';
import { useApp } from '../context.ts';
import { bytes } from '../shared/format.ts';

/** Milliseconds after the last change of a setting before models are sized again. */
const pause = 400;

/**
 * Fit estimates by name, computed one at a time while the list is visible and again when a setting
 * changes. Pass referentially stable `what` and `judge`.
 */
export function useVerdicts(
  seen: boolean,
  what: readonly string[],
  judge: (one: string) => Promise<ShapeVerdict | null>,
): Readonly<Record<string, ShapeVerdict>> {
  const form = useApp((s) => s.form);
  const running = useApp((s) => isOpen(s.run.phase));
  const device = useApp((s) => s.device.status === 'ready');
  const [verdicts, setVerdicts] = useState<Record<string, ShapeVerdict>>({});
  // biome-ignore lint/correctness/useExhaustiveDependencies: another form is another verdict
  useEffect(() => {
    if (!seen || running || !device) return;
    let wanted = true;
    const timer = setTimeout(async () => {
      setVerdicts({});
      for (const one of what) {
        const verdict = wanted ? await judge(one) : null;
        if (wanted && verdict) setVerdicts((before) => ({ ...before, [one]: verdict }));
      }
    }, pause);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [seen, running, device, form, what, judge]);
  return verdicts;
}

const words: Record<ShapeVerdict['verdict'], string> = {
  fits: 'fits',
  tight: 'fits with',
  'does-not-fit': 'does not fit',
  refused: 'refused',
};

const tones: Partial<Record<ShapeVerdict['verdict'], string>> = {
  fits: 'text-accent',
  'does-not-fit': 'text-danger',
  refused: 'text-danger',
};

/**
 * What was found, in a word, with the bytes, what would have to be smaller, or why it is refused.
 */
export function Verdict({ verdict }: { verdict: ShapeVerdict | undefined }) {
  if (!verdict) return <span className="text-muted">not checked yet</span>;
  return (
    <span data-verdict={verdict.verdict}>
      <span className={`font-medium ${tones[verdict.verdict] ?? ''}`}>
        {words[verdict.verdict]}
      </span>
      <span className="break-words text-muted">{noteOf(verdict)}</span>
    </span>
  );
}

function noteOf(verdict: ShapeVerdict): string {
  switch (verdict.verdict) {
    case 'fits':
      return `, ${bytes(verdict.bytes)}`;
    case 'tight':
      return ` ${inWords(verdict.smaller)}`;
    case 'refused':
      return `: ${verdict.problem.message}`;
    case 'does-not-fit':
      return '';
  }
}
