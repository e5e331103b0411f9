// The search's settings: on or off, the few that matter first, the others below.

import { useState } from 'react';
import { methodOf } from '../../adapters/methods/methods.ts';
import { fields, isUsed, searching, type TextField } from '../../state/fields.ts';
import { formProblems } from '../../state/form.ts';
import { REVIEW_SECONDS } from '../../state/state.ts';
import { useActions, useApp } from '../context.ts';
import { Choice, Toggle } from '../shared/controls.tsx';
import { SettingGrid, schedules } from './Setting.tsx';

const main: readonly TextField[] = ['searchSteps', 'upperLearningRate', 'budget'];
const further: readonly TextField[] = [
  'searchBatch',
  'searchMicroBatch',
  'lowerLearningRate',
  'searchWarmup',
  'lowerOnlySteps',
  'cost',
  'searchWeightDecay',
  'searchClipNorm',
];

const estimators = [
  { value: 'survival', label: 'Survival' },
  { value: 'paper', label: 'Paper' },
] as const;
const sizes = [
  { value: 'argmax', label: 'Likeliest' },
  { value: 'sampled', label: 'Sampled' },
] as const;
const orders = [
  { value: 'first-order', label: 'First' },
  { value: 'second-order', label: 'Second' },
] as const;
const splits = [
  { value: 'disjoint', label: 'Two halves' },
  { value: 'paired', label: 'Alternating' },
] as const;

export function SearchSettings({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const { setForm } = useActions();
  const [more, setMore] = useState(false);
  const on = searching(form);
  const survival = isUsed(form, 'survival');
  const wrong = formProblems(form);
  const hiddenWrong = further.some(
    (name) => wrong[name] !== undefined && isUsed(form, fields[name].needs),
  );
  if (!methodOf(form.method).allocated) return null; // nothing to search
  return (
    <section
      aria-labelledby="search-settings"
      className="flex flex-col gap-5 rounded-xl border border-line px-4 py-4"
    >
      <h3 id="search-settings" className="sr-only">
        Search
      </h3>
      <Toggle
        label="Search experts and ranks first"
        help="Learns for every linear how many experts it gets, and of what rank; you see it forming and review it before training."
        selected={form.search}
        disabled={disabled}
        onChange={(search) => setForm({ search })}
      />
      {on && (
        <>
          <SettingGrid names={main} disabled={disabled} />
          <div className="grid gap-x-6 gap-y-4 sm:grid-cols-2">
            {survival && (
              <Toggle
                label="Linears may close"
                help="A linear may end without any expert, as the plain linear."
                selected={form.closable}
                disabled={disabled}
                onChange={(closable) => setForm({ closable })}
              />
            )}
            <Toggle
              label="Wait for me at the review"
              help={`Otherwise training follows ${REVIEW_SECONDS} seconds after the search, also while this tab is in the background.`}
              selected={form.waitAtReview}
              disabled={disabled}
              onChange={(waitAtReview) => setForm({ waitAtReview })}
            />
            <Toggle
              label="Train after the search"
              help="Off: the run ends with the review, whose allocation can be saved."
              selected={form.thenTrain}
              disabled={disabled}
              onChange={(thenTrain) => setForm({ thenTrain })}
            />
          </div>
          <details open={more || hiddenWrong} onToggle={(e) => setMore(e.currentTarget.open)}>
            <summary className="w-fit font-medium">More of the search</summary>
            <div className="flex flex-col gap-5 pt-4">
              <div className="flex flex-wrap gap-x-8 gap-y-4">
                <Choice
                  label="Estimator"
                  value={form.estimator}
                  options={estimators}
                  disabled={disabled}
                  onChange={(estimator) => setForm({ estimator })}
                  help={
                    survival
                      ? 'How sizes get their gradient: each is told whether it would help.'
                      : 'The paper’s own; it takes no budget, cost or closed linears.'
                  }
                />
                {survival && (
                  <Choice
                    label="Sizes during the search"
                    value={form.sizes}
                    options={sizes}
                    disabled={disabled}
                    onChange={(value) => setForm({ sizes: value })}
                    help="The likeliest ones, or drawn anew for each step."
                  />
                )}
                <Choice
                  label="Order"
                  value={form.order}
                  options={orders}
                  disabled={disabled}
                  onChange={(order) => setForm({ order })}
                  help="Of the bilevel gradient; second order costs more than twice as much."
                />
                <Choice
                  label="Rows of the two levels"
                  value={form.split}
                  options={splits}
                  disabled={disabled}
                  onChange={(split) => setForm({ split })}
                  help="Sizes learn from other rows than experts do."
                />
                <Choice
                  label="Search schedule"
                  value={form.searchSchedule}
                  options={schedules}
                  disabled={disabled}
                  onChange={(searchSchedule) => setForm({ searchSchedule })}
                  help="Of the lower learning rate, after its warm-up."
                />
              </div>
              <SettingGrid names={further} disabled={disabled} />
            </div>
          </details>
        </>
      )}
    </section>
  );
}
