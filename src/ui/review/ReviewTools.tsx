// What can be done to the whole allocation: a number of parameters, other allocations, files in and
// out.

import { useId, useState } from 'react';
import { FileTrigger } from 'react-aria-components';
import { siteCost, sizeLimits } from '../../adapters/methods/methods.ts';
import {
  type Allocation,
  parameterCount,
  type Sizes,
  siteDims,
} from '../../allocation/allocation.ts';
import { presetNames } from '../../allocation/presets.ts';
import { fitUnlocked, namedAllocation, swapIn } from '../../allocation/review.ts';
import { isInputError } from '../../util/error.ts';
import { saveExperts } from '../commands/save-experts.ts';
import { saveRanks } from '../commands/save-ranks.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Button, Field } from '../shared/controls.tsx';
import { DownloadIcon, FileIcon } from '../shared/icons.tsx';

const names = ['uniform', ...presetNames] as const;
/** Patterns over the layers are of experts. */
const swaps: Record<Sizes, readonly (typeof names)[number][]> = {
  experts: names,
  rank: ['uniform', 'random'],
};
const titles: Record<(typeof names)[number], string> = {
  uniform: 'Uniform',
  'mola-2468': 'MoLA 2468',
  'mola-8642': 'MoLA 8642',
  'mola-5555': 'MoLA 5555',
  'mola-8888': 'MoLA 8888',
  'mola-2882': 'MoLA 2882',
  hilo: 'HILO',
  random: 'Random',
};

export function ReviewTools() {
  const { draft } = useApp((s) => s.review!);
  const { config, sizes } = useApp((s) => s.run.search!);
  const model = useApp((s) => s.model.report!);
  const { editAllocation, importAllocation } = useActions();
  const id = useId();
  const [wanted, setWanted] = useState('');
  const [name, setName] = useState<(typeof names)[number]>('uniform');
  const [problem, setProblem] = useState<{ at: 'fit' | 'swap'; message: string } | null>(null);
  const { allocation, locked } = draft;
  const cost = siteCost(config.adapter.method, siteDims(model));
  const limits = sizeLimits(config.adapter);
  const change = (at: 'fit' | 'swap', make: () => Allocation) => {
    try {
      editAllocation(make());
      setProblem(null);
    } catch (error) {
      if (!isInputError(error)) throw error;
      setProblem({ at, message: error.message });
    }
  };
  const fitRest = () =>
    change('fit', () =>
      fitUnlocked(
        allocation,
        locked,
        cost,
        Number(wanted.replaceAll(/[,\s]/g, '') || Number.NaN),
        limits,
      ),
    );
  const swap = () => {
    const { targets } = config.adapter;
    const topK = Math.min(config.adapter.topK, limits.maxExperts);
    change('swap', () =>
      swapIn(
        allocation,
        namedAllocation(name, {
          ...limits,
          layers: model.layers,
          targets,
          topK,
          seed: config.seed,
        }),
        locked,
      ),
    );
  };
  return (
    <div className="grid gap-x-8 gap-y-5 border-t border-line pt-5 md:grid-cols-2">
      <form
        className="flex items-start gap-3"
        onSubmit={(e) => {
          e.preventDefault();
          fitRest();
        }}
      >
        <div className="min-w-0 grow">
          <Field
            label="Parameter count"
            help={`Scales the unlocked linears to reach this total; now ${parameterCount(allocation, cost)}`}
            value={wanted}
            error={problem?.at === 'fit' ? problem.message : undefined}
            onChange={setWanted}
          />
        </div>
        <Button type="submit" className="mt-7.5">
          Fit
        </Button>
      </form>
      <div className="flex items-start gap-3">
        <div className="flex min-w-0 grow flex-col gap-1">
          <label htmlFor={id} className="font-medium">
            Swap in
          </label>
          <select
            id={id}
            className="input"
            value={name}
            onChange={(e) => setName(e.target.value as (typeof names)[number])}
          >
            {swaps[sizes].map((n) => (
              <option key={n} value={n}>
                {titles[n]}
              </option>
            ))}
          </select>
          <p className={problem?.at === 'swap' ? 'text-sm text-danger' : 'hint'}>
            {problem?.at === 'swap'
              ? problem.message
              : 'Another allocation, for the unlocked linears'}
          </p>
        </div>
        <Button className="mt-7.5" onPress={swap}>
          Swap
        </Button>
      </div>
      <div className="flex flex-wrap gap-2 md:col-span-2">
        <FileTrigger
          allowsMultiple
          acceptedFileTypes={['.json']}
          onSelect={(list) =>
            void importAllocation(Array.from(list ?? []), (imported) =>
              swapIn(allocation, imported, locked),
            )
          }
        >
          <Button look="small">
            <FileIcon />
            {sizes === 'experts' ? 'Import expert.json and rank.json' : 'Import rank.json'}
          </Button>
        </FileTrigger>
        <CommandButton command={saveExperts} look="small" icon={<DownloadIcon />} />
        <CommandButton command={saveRanks} look="small" icon={<DownloadIcon />} />
      </div>
    </div>
  );
}
