// gradients: loss and gradient of every adapter tensor on one micro-batch of all rows, as a safetensors file to check against others.
import { writeFileSync } from 'node:fs';
import { STATISTICS } from '../../ops/loss.ts';
import { storeFile } from '../../train/adapter-files.ts';
import { microBatch } from '../../train/batch.ts';
import { Runtime } from '../../train/runtime.ts';
import { shapeOf } from '../../train/session.ts';
import { invariant } from '../../util/error.ts';
import { command } from '../command.ts';
import { checkAdapter, checkModel, openData, openModel, placeAdapter, readRunConfig, shared } from '../inputs.ts';
import { required, text, texts } from '../options.ts';
import { checkOutputFile } from '../outputs.ts';

export const gradients = command({
  name: 'gradients',
  summary: "loss and gradients of an adapter's tensors on one micro-batch",
  details: `All rows make one micro-batch, without dropout. The file gets the scalars loss, ce and balance (loss = ce + coefficient·balance,
the coefficient being adapter.balance of run.json) and each tensor's gradient under its own name. Everything else about the adapter
comes from its adapter_config.json.`,
  options: {
    model: required(shared.model),
    adapter: required(shared.adapter),
    data: required(texts('FILE', 'datasets, as a rule pre-tokenised: {"input_ids": […], "labels": […]} a line')),
    config: shared.config,
    out: required(text('FILE', 'the safetensors file to write')),
    kernels: shared.kernels,
  },
  run: async (o, context) => {
    checkOutputFile(o.out);
    const config = await readRunConfig(o.config);
    const model = await checkModel(o.model);
    const adapter = await checkAdapter(o.adapter, model);
    const rows = (await openData(context, model, o.data, config.data)).dataset.examples;
    const loaded = await openModel(context, model, o.kernels);
    const { layout } = adapter;
    placeAdapter(loaded, adapter);
    const shape = shapeOf(rows, rows.length);
    const runtime = await Runtime.create(loaded, layout, shape, {
      dropout: false,
      onProgress: (done, total) => context.progress.update('Compiling kernels', done, total),
    });
    const batch = microBatch(rows, shape);
    const coefficient = layout.spec.method === 'lora-moe' ? config.adapter.balance : 0;
    runtime.micro(batch, { inverseTokens: 1 / batch.lossTokens, balanceScale: coefficient, number: 1 });
    const statistics = await runtime.readStatistics();
    invariant(statistics[STATISTICS.tokens] === batch.lossTokens, 'the GPU did not finish the micro-batch');
    const ce = statistics[STATISTICS.crossEntropy] / batch.lossTokens;
    const balance = statistics[STATISTICS.balance];
    const values = await layout.store.read(loaded.gpu, 'grad');
    writeFileSync(o.out, storeFile(layout, values, { loss: ce + coefficient * balance, ce, balance }));
    context.progress.note(`Written: ${o.out}, loss ${(ce + coefficient * balance).toFixed(6)}`);
    return 0;
  },
});
