// gradients: loss and gradient of every adapter tensor on one micro-batch of all rows, as a
// safetensors file to check against others.

import { writeFileSync } from 'node:fs';
import { openSafetensors } from '../../data/weights/safetensors.ts';
import { storeTensors, tensorFile } from '../../files/adapter-files.ts';
import { gsvFile, searchStateValues } from '../../files/search-files.ts';
import { STATISTICS } from '../../ops/loss.ts';
import { searches } from '../../settings/run-config.ts';
import { alike, microBatch } from '../../train/batch.ts';
import { shapeOf } from '../../train/run-rows.ts';
import { Runtime } from '../../train/runtime.ts';
import { searchGradients, searchLayout } from '../../train/search/setup.ts';
import { InputError, invariant } from '../../util/error.ts';
import { taskInWords } from '../../util/task.ts';
import { command } from '../command.ts';
import { fileSource } from '../files.ts';
import {
  checkAdapter,
  checkModel,
  openData,
  openModel,
  placeAdapter,
  readRunConfig,
  shared,
} from '../inputs.ts';
import { required, text, texts } from '../options.ts';
import { checkOutputFile } from '../outputs.ts';

export const gradients = command({
  name: 'gradients',
  summary: "compute the loss and the gradients of an adapter's tensors on one micro-batch",
  details: `All rows form one micro-batch, without dropout. The file gets the scalars loss, ce and balance (loss = ce + coefficient·balance,
the coefficient being adapter.balance of run.json) and each tensor's gradient under its own name. Everything else about the adapter
comes from its adapter_config.json.
With a search in --config the file gets G of every GuidedSelection Vector under its own key, and the upper loss: the first half of the rows (the larger
one if odd) is b1, the rest b2, and ξ is search.learningRate.`,
  options: {
    model: required(shared.model),
    adapter: shared.adapter,
    init: text('FILE', "a search's tensors (.safetensors), where --config has a search"),
    data: required(
      texts('FILE', 'datasets, usually pre-tokenised: {"input_ids": […], "labels": […]} per line'),
    ),
    config: shared.config,
    out: required(text('FILE', 'the safetensors file to write')),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    checkOutputFile(o.out);
    const config = await readRunConfig(o.config);
    const model = await checkModel(o.model);
    const open = async () => {
      const rows = (await openData(context, model, o.data, config.data)).dataset.examples;
      return { rows, loaded: await openModel(context, model, o.kernels) };
    };
    const onProgress = (done: number, total: number) =>
      context.progress.update(taskInWords.compiling, done, total);
    const written = (loss: number) =>
      context.progress.note(`Written: ${o.out}, loss ${loss.toFixed(6)}`);
    if (searches(config)) {
      if (o.init === undefined || o.adapter !== undefined)
        throw new InputError(
          'bad-option',
          'gradients: with a search in --config, give its tensors as --init FILE and leave out --adapter.',
        );
      const { entries } = await openSafetensors(fileSource(o.init));
      const layout = searchLayout(config, model.config);
      const values = await searchStateValues(layout, entries, o.init);
      const { rows, loaded } = await open();
      const { loss, gradient } = await searchGradients({
        model: loaded,
        rows,
        config,
        layout,
        values,
        onProgress,
      });
      writeFileSync(o.out, gsvFile(layout, gradient, { loss }));
      written(loss);
      return 0;
    }
    if (o.adapter === undefined || o.init !== undefined)
      throw new InputError(
        'bad-option',
        'gradients: --adapter DIR is required; --init is only for a search in --config.',
      );
    const adapter = await checkAdapter(o.adapter, model);
    const { rows, loaded } = await open();
    const { layout } = adapter;
    placeAdapter(loaded, adapter);
    const shape = shapeOf(rows, rows.length);
    const runtime = await Runtime.create(loaded, layout, alike(shape), {
      dropout: false,
      onProgress,
    });
    const batch = microBatch(rows, shape);
    const coefficient = config.adapter.balance;
    runtime.micro(batch, {
      inverseTokens: 1 / batch.lossTokens,
      balanceScale: coefficient,
      number: 1,
    });
    const statistics = await runtime.readStatistics();
    invariant(
      statistics[STATISTICS.tokens] === batch.lossTokens,
      'the GPU did not finish the micro-batch',
    );
    const ce = statistics[STATISTICS.crossEntropy] / batch.lossTokens;
    const balance = statistics[STATISTICS.balance];
    const loss = ce + coefficient * balance;
    writeFileSync(
      o.out,
      tensorFile(storeTensors(layout, await layout.store.read(loaded.gpu, 'grad')), {
        loss,
        ce,
        balance,
      }),
    );
    written(loss);
    return 0;
  },
});
