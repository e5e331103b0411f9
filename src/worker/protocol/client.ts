// Starts the two workers (and the library's when it is first needed), joins them by a port, and
// gives the page their commands.
import * as Comlink from 'comlink';
import type { DataApi, TrainerApi, WorkerEvent } from './api.ts';
import type { DownloadProgress, HubModel, LibraryApi } from './library-api.ts';

/** The workers' commands, and an end to both. */
export interface Client {
  trainer: Comlink.Remote<TrainerApi>;
  data: Comlink.Remote<DataApi>;
  library(): Comlink.Remote<LibraryApi>;
  /** The library's download, whose progress comes back to the page. */
  download(
    what: HubModel | string,
    token: string,
    onProgress: (progress: DownloadProgress) => void,
  ): ReturnType<LibraryApi['download']>;
  end(): void;
}

/**
 * Starts both workers. `onEvent` gets the trainer's events; `onCrash` a worker's own failure to
 * run.
 */
export function startWorkers(
  onEvent: (event: WorkerEvent) => void,
  onCrash: (message: string) => void,
): Client {
  const trainerWorker = new Worker(new URL('../trainer/trainer.worker.ts', import.meta.url), {
    type: 'module',
    name: 'trainer',
  });
  const dataWorker = new Worker(new URL('../data/data.worker.ts', import.meta.url), {
    type: 'module',
    name: 'data',
  });
  const failed = (e: ErrorEvent) =>
    onCrash(e.message || 'A part of the page could not be started. Reload the page.');
  for (const worker of [trainerWorker, dataWorker]) worker.onerror = failed;
  const events = new MessageChannel();
  const between = new MessageChannel();
  events.port1.onmessage = (e: MessageEvent<WorkerEvent[]>) => {
    for (const event of e.data) onEvent(event);
  };
  const trainer = Comlink.wrap<TrainerApi>(trainerWorker);
  const data = Comlink.wrap<DataApi>(dataWorker);
  void trainer.connect(
    Comlink.transfer(events.port2, [events.port2]),
    Comlink.transfer(between.port1, [between.port1]),
    document.baseURI,
  );
  void data.connect(Comlink.transfer(between.port2, [between.port2]), document.baseURI);
  let libraryWorker: Worker | null = null;
  let remote: Comlink.Remote<LibraryApi> | null = null;
  const library = () => {
    if (remote) return remote;
    libraryWorker = new Worker(new URL('../library/library.worker.ts', import.meta.url), {
      type: 'module',
      name: 'library',
    });
    libraryWorker.onerror = failed;
    remote = Comlink.wrap<LibraryApi>(libraryWorker);
    return remote;
  };
  return {
    trainer,
    data,
    library,
    download: (what, token, onProgress) =>
      library().download(what, token, Comlink.proxy(onProgress)),
    end: () => {
      libraryWorker?.terminate();
      trainerWorker.terminate();
      dataWorker.terminate();
    },
  };
}

/** A function that a worker may call. */
export const callback = <F extends (...given: never[]) => void>(call: F): F & Comlink.ProxyMarked =>
  Comlink.proxy(call);
