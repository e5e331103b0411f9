// What a person can do, as calls of the workers and events for the store. Every expected failure
// becomes a notice.

import { allocationLimits, methodOf } from '../adapters/methods/methods.ts';
import type { Allocation, Sizes } from '../allocation/allocation.ts';
import { type AllocationJson, parseAllocation } from '../allocation/files.ts';
import { DEMO_RUN, DEMO_SEARCH_RUN } from '../settings/demo.ts';
import { defaultRunConfig, parseRunConfig } from '../settings/run-config.ts';
import type { RunPresetName } from '../settings/run-presets.ts';
import { InputError } from '../util/error.ts';
import { decodeText, parseJson } from '../util/json.ts';
import type {
  ColumnsFound,
  DataOptions,
  DataSource,
  DatasetReport,
  ModelSource,
  ReadingProgress,
} from '../worker/protocol/api.ts';
import { type Client, callback } from '../worker/protocol/client.ts';
import { failureOf } from '../worker/protocol/failure.ts';
import { type Form, searching } from './fields.ts';
import { type FileUses, heldOut, usesByName, weightsOf } from './files.ts';
import {
  configOf,
  dataOptionsOf,
  fieldsOfData,
  formOf,
  formProblems,
  isReading,
  withPreset,
} from './form.ts';
import { createLibraryActions } from './library-actions.ts';
import { answerOptions, type Question } from './question.ts';
import { isOpen } from './run.ts';
import { hasTuned } from './state.ts';
import type { AppStore } from './store.ts';

/** Binds the actions to a store and its workers. */
export function createActions(app: AppStore, client: Client) {
  const { dispatch, getState } = app;
  let dataSource: DataSource | null = null;
  let readWith: DataOptions | null = null; // of the data that is there
  let readings = 0;
  let lastQuestion = 0;

  const setForm = (change: Partial<Form>) => dispatch({ type: 'form', change });

  /** Runs `work`; what it throws is shown. Resolves with undefined then. */
  async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      dispatch(failureOf(error));
      return undefined;
    }
  }

  async function openModel(source: ModelSource): Promise<boolean> {
    dispatch({ type: 'model-loading' });
    const report = await attempt(async () => {
      const loaded = await client.trainer.loadModel(source);
      if (loaded) await client.data.openTokenizer(source, loaded.vocab);
      return loaded;
    });
    if (!report) {
      dispatch({ type: report === null ? 'model-cancelled' : 'model-failed' });
      return false;
    }
    dataSource = readWith = null;
    dispatch({ type: 'model-ready', report, demo: source.kind === 'demo' });
    return true;
  }

  /** @param usesIn what the files are used for, once it is known which there are */
  async function readData(
    source: DataSource,
    options: DataOptions,
    usesIn: (names: readonly string[]) => FileUses,
  ): Promise<boolean> {
    dispatch({ type: 'data-reading' });
    readings++;
    const onProgress = callback((progress: ReadingProgress) =>
      dispatch({ type: 'data-progress', progress }),
    );
    const report = await attempt<DatasetReport | ColumnsFound | null>(async () =>
      client.data.read(source, options, onProgress),
    );
    if (report === null) {
      readWith = null;
      dispatch({ type: 'data-cancelled' });
      return false;
    }
    if (!report) {
      dispatch({ type: 'data-failed' });
      if (readWith) setForm(fieldsOfData(readWith)); // the data that was there stays as it was read
      return false;
    }
    dataSource = source;
    readWith = 'columns' in report ? null : options;
    if ('columns' in report) {
      dispatch({ type: 'data-columns', columns: report });
      return false;
    }
    const used = report.parts.filter(({ examples }) => examples > 0).map(({ name }) => name);
    dispatch({ type: 'data-ready', report, demo: source.kind === 'demo', files: usesIn(used) });
    return true;
  }

  /** Reads the same files again after one of the reading settings changed. */
  async function rereadData(change: Partial<Form>): Promise<void> {
    setForm(change);
    const { form, run } = getState();
    const cannotRead = Object.keys(formProblems(form)).some(isReading);
    if (!dataSource || isOpen(run.phase) || cannotRead) return;
    const options = dataOptionsOf(form);
    if (JSON.stringify(options) !== JSON.stringify(readWith))
      await readData(dataSource, options, () => form.files);
  }

  /**
   * Changes what files are used for. They are read again only where that decides what the limit
   * leaves of them.
   */
  const setFiles = (files: FileUses): Promise<void> => rereadData({ files });

  async function start(): Promise<void> {
    const { form } = getState();
    if (Object.keys(formProblems(form)).length > 0) return;
    dispatch({ type: 'run-asked', stage: searching(form) ? 'search' : 'train' });
    const started = await attempt(async () => {
      await client.trainer.start(configOf(form));
      return true;
    });
    if (!started) dispatch({ type: 'run-refused' });
  }

  return {
    ...createLibraryActions(app, client, attempt, openModel),
    setForm,
    choosePreset(name: RunPresetName) {
      const { form, data } = getState();
      setForm(withPreset(form, name, data.report));
    },

    /** Asks for the device once, at the beginning. */
    async checkDevice() {
      try {
        dispatch({
          type: 'device',
          device: { status: 'ready', report: await client.trainer.openDevice() },
        });
      } catch (error) {
        dispatch({
          type: 'device',
          device: { status: 'missing', message: failureOf(error).message },
        });
      }
    },

    /**
     * The built-in model and data with their own settings, and the run begun; with a search before
     * the training where that is asked for.
     */
    async tryDemo(withSearch: boolean) {
      const { waitAtReview } = getState().form;
      setForm({
        ...formOf(parseRunConfig(withSearch ? DEMO_SEARCH_RUN : DEMO_RUN, 'demo')),
        waitAtReview,
      });
      if (!(await openModel({ kind: 'demo' }))) return;
      if (!(await readData({ kind: 'demo' }, dataOptionsOf(getState().form), () => ({})))) return;
      await start();
    },

    cancelLoading() {
      dispatch({ type: 'pending', what: 'cancel' });
      return attempt(async () => client.trainer.cancelLoading());
    },
    chooseModel: (name: string, files: File[]) => openModel({ kind: 'files', name, files }),
    /**
     * Reads dataset files with the form's settings, no columns of earlier files, and the uses that
     * their names tell.
     */
    async chooseData(files: File[]) {
      const uses = usesByName(files.map(({ name }) => name));
      const options = { ...dataOptionsOf({ ...getState().form, files: uses }), columns: null };
      setForm({ 'data.columns': null });
      const read = await readData({ kind: 'files', files }, options, usesByName);
      if (getState().data.columns) setForm({ files: uses });
      // where a limit leaves another part of archives, whose files were not known before
      if (read) await rereadData({});
    },
    setFiles,
    /** What the form's validation and weights come to on the data; undefined where that fails. */
    splitData: ({ validation, files }: { validation: string; files: FileUses }, seed: number) =>
      attempt(async () => {
        const held = heldOut(files);
        const settings = {
          validation: held.length > 0 ? held : Number(validation),
          weights: weightsOf(files),
        };
        return client.data.split({ ...settings, shuffle: defaultRunConfig().data.shuffle }, seed);
      }),
    cancelReading: () => attempt(async () => client.data.cancel()),
    chooseDemoData() {
      setForm({ 'data.columns': null });
      return readData(
        { kind: 'demo' },
        { ...dataOptionsOf(getState().form), whole: [] },
        () => ({}),
      );
    },
    rereadData,

    start,
    /** Counts the memory that the form comes to, unless it has mistakes or is changed meanwhile. */
    async estimateMemory() {
      const { form, data } = getState();
      if (Object.keys(formProblems(form)).length > 0 || data.status !== 'ready') return;
      const report = await attempt(async () =>
        client.trainer.estimateMemory(configOf(form), readings),
      );
      const now = getState();
      if (report && now.form === form && now.data.report === data.report)
        dispatch({ type: 'memory', report });
    },
    pause() {
      dispatch({ type: 'pending', what: 'pause' });
      return attempt(async () => client.trainer.pause());
    },
    resume: () => attempt(async () => client.trainer.resume()),
    stop() {
      dispatch({ type: 'pending', what: 'stop' });
      return attempt(async () => client.trainer.stop());
    },

    /** Ends the review: trains with exactly what stands there. */
    async proceed() {
      const { review, run } = getState();
      if (!review || run.phase !== 'review') return;
      dispatch({ type: 'proceed-asked' });
      const started = await attempt(async () => {
        await client.trainer.proceed(review.draft.allocation);
        return true;
      });
      if (!started) dispatch({ type: 'proceed-refused' });
    },
    discard: () => attempt(async () => client.trainer.discard()),
    touchReview: () => dispatch({ type: 'review-touched' }),
    editAllocation: (allocation: Allocation) => dispatch({ type: 'review-edit', allocation }),
    lockSites: (paths: readonly string[]) => dispatch({ type: 'review-lock', paths }),
    undoReview: () => dispatch({ type: 'review-undo' }),
    redoReview: () => dispatch({ type: 'review-redo' }),
    /**
     * The allocation of an expert.json and a rank.json (with one rank a linear the latter alone),
     * as `change` puts it into the review. What is wrong with them is shown.
     */
    async importAllocation(files: readonly File[], change: (imported: Allocation) => Allocation) {
      await attempt(async () => {
        const { search } = getState().run;
        const { layers } = getState().model.report!;
        const { adapter } = search!.config;
        const { names, json } = await allocationFilesOf(files, methodOf(adapter.method).sizes);
        const imported = parseAllocation(json, allocationLimits(adapter, layers, names));
        dispatch({ type: 'review-edit', allocation: change(imported) });
      });
    },

    /** An adapter's folder or zip, as the tuned model beside the base model that is there. */
    async openAdapter(files: File[]) {
      const report = await attempt(() => client.trainer.loadAdapter(files));
      if (report) dispatch({ type: 'adapter-ready', report });
    },

    setQuestion: (change: Partial<Question>) => dispatch({ type: 'question', change }),
    /** Asks the base model, and the tuned one where there is one. */
    async ask() {
      const state = getState();
      const options = answerOptions(state.question, state.form);
      const id = ++lastQuestion;
      dispatch({ type: 'asked', id, prompt: options.prompt });
      await attempt(async () => {
        for (const which of hasTuned(state) ? (['base', 'tuned'] as const) : (['base'] as const)) {
          if (getState().chat.exchange?.id !== id) return;
          await client.trainer.answer({ id, which, ...options });
        }
      });
      dispatch({ type: 'chat-idle' });
    },
    stopAnswer: () => attempt(async () => client.trainer.stopAnswer()),

    /** Answers to held-out rows, by the base model (once) and the tuned one. */
    async checkHeldOut() {
      await attempt(async () => {
        for (const which of ['base', 'tuned'] as const) {
          if (which === 'base' && getState().heldOut.base) continue;
          dispatch({ type: 'held-out-busy', which });
          dispatch({ type: 'held-out', report: await client.trainer.checkHeldOut(which) });
        }
      });
      dispatch({ type: 'held-out-busy', which: null });
    },

    /** Builds and checks the zip, and offers it. */
    async prepareExport() {
      const { url, status } = getState().exported;
      if (status === 'busy') return;
      dispatch({ type: 'export-busy' });
      if (url) URL.revokeObjectURL(url);
      const report = await attempt(() => client.trainer.exportAdapter());
      if (!report) {
        dispatch({ type: 'export-failed' });
        return;
      }
      const { zip, ...rest } = report;
      const blob = new Blob([zip], { type: 'application/zip' });
      dispatch({ type: 'export-ready', report: rest, url: URL.createObjectURL(blob) });
    },

    /** Measures the device; what was measured before a cancelled or failed case is kept. */
    async benchmark() {
      dispatch({ type: 'benchmark-began' });
      try {
        const named = getState().benchmark.named.trim();
        dispatch({ type: 'benchmark-done', report: await client.trainer.benchmark(named) });
      } catch (error) {
        dispatch({ type: 'benchmark-failed', message: failureOf(error).message });
      }
    },
    cancelBenchmark() {
      dispatch({ type: 'benchmark-cancelling' });
      return attempt(async () => client.trainer.cancelBenchmark());
    },

    dismiss: (id: number) => dispatch({ type: 'dismiss', id }),
  };
}

/**
 * expert.json and rank.json among chosen files, parsed; found by name.
 * @throws InputError('bad-adapter')
 */
async function allocationFilesOf(
  files: readonly File[],
  sizes: Sizes,
): Promise<{ names: { experts: string; ranks: string }; json: AllocationJson }> {
  const wanted = sizes === 'experts' ? 'expert.json and rank.json together' : 'a rank.json';
  const read = async (kind: 'expert' | 'rank') => {
    const file = files.find(
      (f) => f.name.toLowerCase().endsWith('.json') && f.name.toLowerCase().includes(kind),
    );
    if (!file)
      throw new InputError(
        'bad-adapter',
        `Choose ${wanted}: there is no ${kind}.json among the files.`,
      );
    const text = decodeText(new Uint8Array(await file.arrayBuffer()), file.name, 'bad-adapter');
    return { name: file.name, json: parseJson(text, file.name, 'bad-adapter') };
  };
  const experts = sizes === 'experts' ? await read('expert') : null;
  const ranks = await read('rank');
  return {
    names: { experts: experts?.name ?? '', ranks: ranks.name },
    json: { experts: experts?.json, ranks: ranks.json },
  };
}

export type Actions = ReturnType<typeof createActions>;
