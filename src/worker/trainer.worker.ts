// The trainer worker: Trainer behind comlink. It alone owns the device.
import * as Comlink from 'comlink';
import type { HandOverApi, TrainerApi } from './api.ts';
import { EventSender } from './events.ts';
import { Trainer } from './trainer.ts';

let trainer: Trainer | null = null;
const ready = (): Trainer => {
  if (!trainer) throw new Error('Internal error: the trainer is not connected');
  return trainer;
};

const api: TrainerApi = {
  connect(events, data, base) {
    const remote = Comlink.wrap<HandOverApi>(data);
    trainer = new Trainer(new EventSender((batch) => events.postMessage(batch)), remote, base);
  },
  openDevice: () => ready().openDevice(),
  loadModel: (source) => ready().loadModel(source),
  start: (config) => ready().start(config),
  pause: () => ready().pause(),
  resume: () => ready().resume(),
  stop: () => ready().stop(),
  answer: (question) => ready().answer(question),
  checkHeldOut: (which) => ready().checkHeldOut(which),
  stopAnswer: () => ready().stopAnswer(),
  exportAdapter: async () => {
    const report = await ready().exportAdapter();
    return Comlink.transfer(report, [report.zip.buffer]);
  },
};

Comlink.expose(api);
