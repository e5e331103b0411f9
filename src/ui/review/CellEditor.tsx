// The selected linear of the review: its experts, the rank of each, and its locks.
import { siteSize } from '../../adapters/methods/methods.ts';
import { siteRanks, targetOf } from '../../allocation/allocation.ts';
import { withCount, withRank, withSite } from '../../allocation/review.ts';
import { useActions, useApp } from '../context.ts';
import { Button } from '../shared/controls.tsx';
import { whole } from '../shared/format.ts';
import { Stepper } from './Stepper.tsx';

export function CellEditor({ path }: { path: string | null }) {
  const draft = useApp((s) => s.review!.draft);
  const found = useApp((s) => s.review!.report.found);
  const { config, sites, sizes, ...most } = useApp((s) => s.run.search!);
  const { editAllocation, lockSites } = useActions();
  const site = sites.find((s) => s.path === path);
  if (!site)
    return (
      <p className="hint">
        Choose a cell to change its {sizes === 'experts' ? 'experts and ranks' : 'rank'}, or to lock
        it.
      </p>
    );
  const { allocation, locked } = draft;
  const limits = { maxExperts: most.experts, maxRank: most.rank };
  const ranks = siteRanks(allocation, site.path);
  const before = siteRanks(found, site.path);
  const isLocked = locked.has(site.path);
  const parameters = siteSize(config.adapter.method, { ...site, ranks });
  const row = sites.filter((s) => s.target === site.target).map((s) => s.path);
  const column = sites.filter((s) => s.layer === site.layer).map((s) => s.path);
  const lockText = (paths: readonly string[], what: string) =>
    `${paths.every((p) => locked.has(p)) ? 'Unlock' : 'Lock'} ${what}`;
  return (
    <div
      className="flex flex-col gap-4 rounded-xl bg-sunk px-4 py-4"
      data-testid="cell-editor"
      data-path={site.path}
    >
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <h4 className="font-semibold">
          Layer {site.layer}, {targetOf(site.path)}
        </h4>
        <p className="hint">
          {whole(parameters)} parameters; found:{' '}
          {before.length === 0
            ? 'closed'
            : `${sizes === 'experts' ? 'ranks' : 'rank'} ${before.join(', ')}`}
        </p>
      </div>
      <div className="flex flex-wrap items-end gap-x-5 gap-y-3">
        {sizes === 'rank' ? (
          <Stepper
            label="Rank here"
            value={ranks[0] ?? 0}
            low={0}
            high={limits.maxRank}
            disabled={isLocked}
            onChange={(rank) =>
              editAllocation(withSite(allocation, site.path, rank > 0 ? [rank] : []))
            }
          />
        ) : (
          <>
            <Stepper
              label="Experts here"
              value={ranks.length}
              low={0}
              high={limits.maxExperts}
              disabled={isLocked}
              onChange={(count) => editAllocation(withCount(allocation, site.path, count, limits))}
            />
            {ranks.map((rank, i) => (
              <Stepper
                // biome-ignore lint/suspicious/noArrayIndexKey: experts have no other name
                key={i}
                label={`Rank ${i + 1}`}
                value={rank}
                low={1}
                high={limits.maxRank}
                disabled={isLocked}
                onChange={(value) =>
                  editAllocation(withRank(allocation, site.path, i, value, limits))
                }
              />
            ))}
          </>
        )}
      </div>
      <div className="flex flex-wrap gap-2">
        <Button look="small" onPress={() => lockSites([site.path])}>
          {lockText([site.path], 'this linear')}
        </Button>
        <Button look="small" onPress={() => lockSites(row)}>
          {lockText(row, `all ${site.target}`)}
        </Button>
        <Button look="small" onPress={() => lockSites(column)}>
          {lockText(column, `layer ${site.layer}`)}
        </Button>
      </div>
    </div>
  );
}
