// The trainer worker: Trainer behind comlink. It alone owns the device.
import * as Comlink from 'comlink';
import type { TrainerApi } from '../protocol/api.ts';
import type { DataPortApi } from '../protocol/data-port.ts';
import { EventSender } from '../protocol/events.ts';
import { Trainer } from './trainer.ts';

let trainer: Trainer | null = null;
const ready = (): Trainer => {
  if (!trainer) throw new Error('Internal error: the trainer is not connected');
  return trainer;
};

const api: TrainerApi = {
  connect(events, data, base) {
    const remote = Comlink.wrap<DataPortApi>(data);
    trainer = new Trainer(
      new EventSender((batch, transfer) => events.postMessage(batch, transfer)),
      remote,
      base,
    );
  },
  openDevice: () => ready().openDevice(),
  loadModel: (source) => ready().loadModel(source),
  cancelLoading: () => ready().cancelLoading(),
  estimateMemory: (config, reading) => ready().estimateMemory(config, reading),
  assessModel: (model, config) => ready().assessModel(model, config),
  start: (config) => ready().start(config),
  proceed: (allocation) => ready().proceed(allocation),
  discard: () => ready().discard(),
  pause: () => ready().pause(),
  resume: () => ready().resume(),
  stop: () => ready().stop(),
  loadAdapter: (files) => ready().loadAdapter(files),
  answer: (question) => ready().answer(question),
  checkHeldOut: (which) => ready().checkHeldOut(which),
  stopAnswer: () => ready().stopAnswer(),
  benchmark: (named) => ready().benchmark(named),
  cancelBenchmark: () => ready().cancelBenchmark(),
  exportAdapter: async () => {
    const report = await ready().exportAdapter();
    return Comlink.transfer(report, [report.zip.buffer]);
  },
};

Comlink.expose(api);
