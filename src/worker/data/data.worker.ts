// The data worker: DataService behind comlink, with a second port to the trainer.
import * as Comlink from 'comlink';
import type { DataApi } from '../protocol/api.ts';
import type { DataPortApi } from '../protocol/data-port.ts';
import { DataService } from './data-service.ts';

let service: DataService | null = null;
const ready = (): DataService => {
  if (!service) throw new Error('Internal error: the data worker is not connected');
  return service;
};

const handOver: DataPortApi = {
  examples: () => {
    const all = ready().examples();
    return Comlink.transfer(all, [all.ids.buffer, all.labels.buffer, all.starts.buffer]);
  },
  heldOut: (rows) => ready().heldOut(rows),
};

const api: DataApi = {
  connect(trainer, base) {
    service = new DataService(base);
    Comlink.expose(handOver, trainer);
  },
  openTokenizer: (source, vocab) => ready().openTokenizer(source, vocab),
  read: (source, options, onProgress) => ready().read(source, options, onProgress),
  split: (settings, seed) => ready().split(settings, seed),
  cancel: () => ready().cancel(),
};

Comlink.expose(api);
