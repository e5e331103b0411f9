// The review between search and training: what was found, changes to it, and going on.
import { useRef, useState } from 'react';
import { siteCost } from '../../adapters/methods/methods.ts';
import { parameterCount, siteDims, siteRanks } from '../../allocation/allocation.ts';
import { changedSites } from '../../state/review.ts';
import { discard } from '../commands/discard.ts';
import { proceed } from '../commands/proceed.ts';
import { redo } from '../commands/redo.ts';
import { undo } from '../commands/undo.ts';
import { useActions, useApp, usePage } from '../context.ts';
import { AllocationGrid } from '../search/AllocationGrid.tsx';
import { CommandButton } from '../shared/CommandButton.tsx';
import { perform } from '../shared/command.ts';
import { Button } from '../shared/controls.tsx';
import { percent, short, whole } from '../shared/format.ts';
import { PlayIcon } from '../shared/icons.tsx';
import { Stat, Stats } from '../shared/Section.tsx';
import { CellEditor } from './CellEditor.tsx';
import { ReviewTools } from './ReviewTools.tsx';
import { useCountdown } from './useCountdown.ts';

export function ReviewPanel() {
  const review = useApp((s) => s.review);
  const search = useApp((s) => s.run.search);
  const model = useApp((s) => s.model.report);
  const { touchReview } = useActions();
  const [selected, setSelected] = useState<string | null>(null);
  if (!review || !search || !model) return null;
  const touched = ({ target }: { target: EventTarget }) => {
    // that button says so itself, and keeps its press
    if (!(target instanceof Element && target.closest('[data-wait]'))) touchReview();
  };
  const { draft, report } = review;
  const cost = siteCost(search.config.adapter.method, siteDims(model));
  const parameters = parameterCount(draft.allocation, cost);
  const uniform = search.sites.reduce(
    (sum, s) => sum + cost(s.path, Array<number>(search.experts).fill(search.rank)),
    0,
  );
  const ranks = search.sites.flatMap((s) => siteRanks(draft.allocation, s.path));
  const changed = changedSites(review).length;
  const counted = search.sizes === 'experts';
  const layers = new Set(search.sites.map((s) => s.layer)).size;
  return (
    // Whatever is done in here says that someone is there: the countdown ends.
    <section
      aria-labelledby="review-title"
      className="flex min-w-0 flex-col gap-5"
      data-testid="review"
      data-parameters={parameters}
      onPointerDownCapture={touched}
      onKeyDownCapture={(e) => e.key !== 'Tab' && touched(e)}
    >
      <div>
        <h3 id="review-title" className="text-lg font-semibold">
          {report.complete
            ? 'Review what the search found'
            : `Review what the search has found so far, at step ${report.step} of ${search.steps}`}
        </h3>
        <p className="text-muted">
          {report.step === 0
            ? 'The search was stopped before its first step: these are its random starting sizes.'
            : report.complete
              ? 'Train with this allocation as it is, or change it first. Locked linears keep their sizes whatever you do to the rest.'
              : 'The search was stopped early: sizes that were still changing may not be final. Train with this allocation, change it, or discard it.'}
        </p>
        {report.problem && (
          <p className="mt-2 rounded-lg bg-warn-soft px-3 py-2 text-warn">
            {report.problem.message} The sizes below are as the search found them.
          </p>
        )}
      </div>
      <Onward />
      <Stats>
        <Stat
          label={counted ? 'Experts' : 'Open linears'}
          value={whole(ranks.length)}
          note={
            counted
              ? `of ${whole(search.sites.length * search.experts)} at most`
              : `of ${whole(search.sites.length)} linears`
          }
        />
        <Stat
          label="Mean rank"
          value={
            ranks.length === 0 ? '–' : (ranks.reduce((a, b) => a + b, 0) / ranks.length).toFixed(2)
          }
          note={`at most ${search.rank}`}
        />
        <Stat
          label="Trainable parameters"
          value={whole(parameters)}
          note={`${percent(parameters, uniform)} of ${short(uniform)} (${counted ? `uniform ${search.experts} × ${search.rank}` : `rank ${search.rank} everywhere`})`}
        />
        <Stat
          label="Changed"
          value={whole(changed)}
          note={`${whole(draft.locked.size)} locked of ${whole(search.sites.length)} linears`}
        />
      </Stats>
      <div className="flex flex-wrap gap-2">
        <CommandButton command={undo} look="small" />
        <CommandButton command={redo} look="small" />
      </div>
      <div className="flex flex-wrap gap-x-8 gap-y-5">
        {/* Beside each other where the grid is small. */}
        <div className="min-w-0 max-w-full" style={{ flexGrow: 1, flexBasis: 100 + 44 * layers }}>
          <AllocationGrid
            sites={search.sites}
            sizes={search.sizes}
            allocation={draft.allocation}
            maxExperts={search.experts}
            maxRank={search.rank}
            locked={draft.locked}
            selected={selected}
            onSelect={setSelected}
          />
        </div>
        <div className="min-w-0 max-w-full grow basis-96">
          <CellEditor path={selected} />
        </div>
      </div>
      <ReviewTools />
    </section>
  );
}

function Onward() {
  const trains = useApp((s) => s.run.search?.config.train !== false);
  const blocked = useApp(proceed.why);
  const autoContinue = useApp((s) => s.review!.autoContinue);
  const { touchReview } = useActions();
  const page = usePage();
  const onward = useRef<HTMLButtonElement>(null);
  const left = useCountdown(autoContinue, () => perform(proceed, page));
  const wait = () => {
    touchReview();
    onward.current?.focus();
  };
  if (!trains) {
    return (
      <div className="flex flex-wrap items-center gap-3">
        <CommandButton command={discard} look="primary" />
        <p className="hint">Training is off in the settings: save the allocation below.</p>
      </div>
    );
  }
  return (
    <div className="flex flex-wrap items-center gap-3">
      <CommandButton ref={onward} command={proceed} look="primary" icon={<PlayIcon />} />
      {autoContinue && (
        <span data-wait>
          <Button onPress={wait}>Wait</Button>
        </span>
      )}
      <CommandButton command={discard} />
      <p className="hint" data-testid="countdown">
        {autoContinue
          ? `Training follows in ${left} s unless you change something here.`
          : (blocked ?? 'Waiting for you.')}
      </p>
    </div>
  );
}
