// Why something cannot be done now, in a sentence for the person; null where it can.
import { isMeasuring } from './benchmark.ts';
import { formProblems } from './form.ts';
import { isGoing, isOpen } from './run.ts';
import type { State } from './state.ts';

type Reason = string | null;

/** The first reason that there is. */
const first = (...reasons: (string | false | null)[]): Reason => reasons.find(Boolean) || null;

const noDevice = ({ device }: State) =>
  (device.status === 'checking' && 'Still looking for a graphics device: wait a moment.') ||
  (device.status === 'missing' && 'WebGPU was not found: see the requirements above.');
const modelLoads = ({ model }: State) =>
  model.status === 'loading' && 'A model is being loaded: wait for it, or cancel.';
const dataIsRead = ({ data }: State) =>
  data.status === 'reading' && 'The data is being read: wait for it, or cancel.';
const runIsOpen = ({ run }: State) =>
  isOpen(run.phase) && 'A run is under way: wait for it to end, or stop it.';
const isMeasured = ({ benchmark }: State) =>
  isMeasuring(benchmark) && 'The device is being measured: wait, or cancel the benchmark.';
const modelsAnswer = ({ chat, heldOut }: State) =>
  (chat.busy && 'The models are answering: wait, or stop the answer.') ||
  (heldOut.busy !== null && 'Held-out rows are being checked: wait, or stop the check.');

/** Why no model can be opened. */
export const noNewModel = (state: State): Reason =>
  first(noDevice(state), modelLoads(state), runIsOpen(state), isMeasured(state));

/** Why no data can be read. */
export const noNewData = (state: State): Reason =>
  first(modelLoads(state), dataIsRead(state), runIsOpen(state));

/** Why the demo cannot begin: it brings its model and its data. */
export const noDemo = (state: State): Reason => first(noNewModel(state), noNewData(state));

/** Why no run can start. */
export function noStart(state: State): Reason {
  const { model, data, form, memory } = state;
  const wrong = Object.keys(formProblems(form)).length;
  return first(
    !model.report && 'There is no model yet: choose one.',
    data.status === 'reading' && 'The data is being read.',
    !data.report && 'There is no data yet: choose some.',
    data.report?.trainedTokens === 0 && 'No token in the data carries loss.',
    wrong > 0 && `${wrong} ${wrong === 1 ? 'setting needs' : 'settings need'} attention.`,
    Boolean(memory?.problem) && 'The settings do not fit in memory: see the estimate above.',
    isMeasured(state),
  );
}

/** Why the models cannot answer. */
export const noAnswers = (state: State): Reason =>
  first(
    !state.model.report && 'There is no model yet: choose one.',
    isGoing(state.run.phase) && 'The device is busy with the run: pause the run to ask.',
    modelLoads(state),
    modelsAnswer(state),
    isMeasured(state),
  );

/** Why the device cannot be measured. */
export const noBenchmark = (state: State): Reason =>
  first(
    noDevice(state),
    runIsOpen(state),
    modelLoads(state),
    modelsAnswer(state),
    state.exported.status === 'busy' && 'The download is being prepared: wait a moment.',
  );
