// The search's settings: on or off, the few that matter first, the others below.

import { useState } from 'react';
import { methodOf } from '../../adapters/methods/methods.ts';
import { settingAt } from '../../settings/catalog.ts';
import { type FieldName, fieldsOf, searching } from '../../state/fields.ts';
import { formProblems } from '../../state/form.ts';
import { REVIEW_SECONDS } from '../../state/state.ts';
import { useActions, useApp } from '../context.ts';
import { Toggle } from '../shared/controls.tsx';
import { Setting, SettingGrid } from '../shared/Setting.tsx';

const main: readonly FieldName[] = ['search.steps', 'search.upperLearningRate', 'search.budget'];
const further = fieldsOf('search', [...main, 'search.closable']);

/** Whether run.json has a stage. */
function StageToggle({ stage, disabled }: { stage: 'search' | 'train'; disabled: boolean }) {
  const selected = useApp((s) => s.form[stage]);
  const { setForm } = useActions();
  const { label, help } = settingAt(stage)!;
  return (
    <Toggle
      label={label!}
      help={help}
      selected={selected}
      disabled={disabled}
      onChange={(on) => setForm({ [stage]: on })}
    />
  );
}

export function SearchSettings({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const { setForm } = useActions();
  const [more, setMore] = useState(false);
  const on = searching(form);
  const wrong = formProblems(form);
  const hiddenWrong = further.some((name) => wrong[name] !== undefined);
  if (methodOf(form['adapter.method']).estimators.length === 0) return null; // nothing to search
  return (
    <section
      aria-labelledby="search-settings"
      className="flex flex-col gap-5 rounded-xl border border-line px-4 py-4"
    >
      <h3 id="search-settings" className="sr-only">
        Search
      </h3>
      <StageToggle stage="search" disabled={disabled} />
      {on && (
        <>
          <SettingGrid names={main} disabled={disabled} />
          <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2">
            <Setting name="search.closable" disabled={disabled} />
            <Toggle
              label="Wait for me at the review"
              help={`Otherwise training follows ${REVIEW_SECONDS} seconds after the search, even while this tab is in the background.`}
              selected={form.waitAtReview}
              disabled={disabled}
              onChange={(waitAtReview) => setForm({ waitAtReview })}
            />
            <StageToggle stage="train" disabled={disabled} />
          </div>
          <details open={more || hiddenWrong} onToggle={(e) => setMore(e.currentTarget.open)}>
            <summary className="w-fit font-medium">More search settings</summary>
            <div className="flex flex-col gap-5 pt-4">
              <SettingGrid names={further} disabled={disabled} />
            </div>
          </details>
        </>
      )}
    </section>
  );
}
