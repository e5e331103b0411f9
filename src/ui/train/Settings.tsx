// The settings of a run: presets, the method, the search, the training.

import { useState } from 'react';
import { methodOf } from '../../adapters/methods/methods.ts';
import { RUN_PRESETS, type RunPresetName } from '../../settings/run-presets.ts';
import { type FieldName, fieldsOf, searching } from '../../state/fields.ts';
import { formProblems } from '../../state/form.ts';
import { useActions, useApp } from '../context.ts';
import { Button } from '../shared/controls.tsx';
import { Setting, SettingGrid } from '../shared/Setting.tsx';
import { Memory } from './Memory.tsx';
import { SearchSettings } from './SearchSettings.tsx';

const main: readonly FieldName[] = [
  'train.steps',
  'train.learningRate',
  'adapter.rank',
  'adapter.experts',
  'adapter.topK',
  'seed',
];
const further: readonly FieldName[] = [
  ...fieldsOf('train', main),
  ...fieldsOf('adapter', [...main, 'adapter.method']),
  'data.validation',
  'precision',
];

function Presets({ disabled }: { disabled: boolean }) {
  const { choosePreset } = useActions();
  const [chosen, setChosen] = useState<RunPresetName | null>(null);
  return (
    <div className="flex flex-col gap-1">
      <h3 className="font-medium">Presets</h3>
      <div className="flex flex-wrap gap-2">
        {(Object.keys(RUN_PRESETS) as RunPresetName[]).map((name) => (
          <Button
            key={name}
            look="small"
            isDisabled={disabled}
            onPress={() => {
              choosePreset(name);
              setChosen(name);
            }}
          >
            {RUN_PRESETS[name].title}
          </Button>
        ))}
      </div>
      <p className="hint">
        {chosen === null
          ? 'Each fills in the settings below; all can be changed.'
          : RUN_PRESETS[chosen].about}
      </p>
    </div>
  );
}

export function Settings({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const [more, setMore] = useState(false);
  const wrong = formProblems(form);
  const hiddenWrong = further.some((name) => wrong[name] !== undefined);
  return (
    <div className="flex flex-col gap-6">
      <Presets disabled={disabled} />
      <Setting
        name="adapter.method"
        disabled={disabled}
        help={
          methodOf(form['adapter.method']).help +
          (searching(form)
            ? methodOf(form['adapter.method']).sizes === 'experts'
              ? ' Experts and Rank are the most that a linear may get.'
              : ' Rank is the most that a linear may get.'
            : '')
        }
      />
      <SettingGrid names={main} disabled={disabled} />
      <SearchSettings disabled={disabled} />
      <details
        open={more || hiddenWrong}
        onToggle={(e) => setMore(e.currentTarget.open)}
        className="rounded-xl border border-line"
      >
        <summary className="px-4 py-3 font-medium">More settings</summary>
        <div className="flex flex-col gap-5 px-4 pt-1 pb-5">
          <SettingGrid names={further} disabled={disabled} />
        </div>
      </details>
      <Memory disabled={disabled} />
    </div>
  );
}
