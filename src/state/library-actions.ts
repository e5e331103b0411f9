// What a person can do with models of the Hub and those stored in this browser.
import type { CandidateModel, ModelSource, ShapeVerdict } from '../worker/protocol/api.ts';
import type { Client } from '../worker/protocol/client.ts';
import type { DownloadProgress, HubModel, StoredModel } from '../worker/protocol/library-api.ts';
import { configOf, formProblems } from './form.ts';
import { nameOfModel } from './library.ts';
import { isOpen } from './run.ts';
import type { AppStore } from './store.ts';

/** Binds the actions; `attempt` shows what is thrown, `openModel` loads a model. */
export function createLibraryActions(
  { dispatch, getState }: AppStore,
  client: Client,
  attempt: <T>(work: () => Promise<T>) => Promise<T | undefined>,
  openModel: (source: ModelSource) => Promise<boolean>,
) {
  const configs = new Map<string, string>();

  /**
   * Whether a model that is not here fits the settings in the form; null while they have mistakes
   * or a run is going.
   */
  async function assessModel(model: string | CandidateModel): Promise<ShapeVerdict | null> {
    const { form, run } = getState();
    if (Object.keys(formProblems(form)).length > 0 || isOpen(run.phase)) return null;
    return (await attempt(async () => client.trainer.assessModel(model, configOf(form)))) ?? null;
  }

  async function list() {
    const stored = await attempt(() => client.library().list());
    dispatch({ type: 'library-listed', stored: stored ?? [] });
  }

  return {
    listModels: list,
    assessModel,

    /** Looks for a model on the Hub; what can be loaded of it is then offered. */
    async findModel(id: string, revision: string, token: string) {
      dispatch({ type: 'hub-finding' });
      const offers = await attempt(() => client.library().find(id, revision, token));
      dispatch({ type: 'hub-found', offers: offers ?? [] });
    },

    /**
     * Whether a model that was found fits the settings in the form; null where it cannot be told
     * before it is here.
     */
    async judgeOffer(offer: HubModel, token: string): Promise<ShapeVerdict | null> {
      if (offer.gguf !== null) return null;
      const key = `${offer.id}@${offer.commit}`;
      const config =
        configs.get(key) ??
        (await client
          .library()
          .config(offer, token)
          .catch(() => null)); // the download will say why
      if (config === null) return null;
      configs.set(key, config);
      const weights = offer.files.filter(({ path }) => path.endsWith('.safetensors'));
      return assessModel({
        name: offer.id,
        config,
        bytes: weights.reduce((sum, { size }) => sum + size, 0),
      });
    },

    /** Downloads a model, or goes on with it, and opens it where no run is going. */
    async download(what: HubModel | StoredModel, token: string) {
      if (getState().library.download) return;
      dispatch({ type: 'download-began', name: nameOfModel(what), total: what.bytes });
      void navigator.storage?.persist?.(); // so that the browser does not clear it by itself
      const onProgress = (progress: DownloadProgress) =>
        dispatch({ type: 'download-progress', progress });
      const ended = await attempt(() =>
        client.download('key' in what ? what.key : what, token, onProgress),
      );
      dispatch({ type: 'download-ended' });
      await list();
      const { device, model, run } = getState();
      const free = device.status === 'ready' && model.status !== 'loading' && !isOpen(run.phase);
      if (ended && !ended.paused && free) await openModel({ kind: 'stored', key: ended.key });
    },
    pauseDownload: () => attempt(async () => client.library().pause()),

    openStored: (key: string) => openModel({ kind: 'stored', key }),
    async removeStored(key: string) {
      await attempt(() => client.library().remove(key));
      await list();
    },
  };
}
