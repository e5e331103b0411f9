// A model of the Hub: by id and revision, or one of the suggested ones; what of it can be
// downloaded.
import { useCallback, useMemo, useState } from 'react';
import { nameOfModel } from '../../state/library.ts';
import type { HubModel } from '../../worker/protocol/library-api.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field } from '../shared/controls.tsx';
import { bytes } from '../shared/format.ts';
import { Suggestions } from './Suggestions.tsx';
import { useVerdicts, Verdict } from './Verdict.tsx';

/** @param seen nothing is counted before it can be seen */
export function HubForm({
  seen,
  token,
  onToken,
}: {
  seen: boolean;
  token: string;
  onToken(token: string): void;
}) {
  const [id, setId] = useState('');
  const [revision, setRevision] = useState('main');
  const finding = useApp((s) => s.library.finding);
  const { findModel } = useActions();
  const suggest = (suggested: string) => {
    setId(suggested);
    setRevision('main');
    void findModel(suggested, 'main', token);
  };
  return (
    <div className="mt-3 flex flex-col gap-5">
      <p className="hint">
        Downloaded from huggingface.co into this browser's storage, checked against the Hub's
        hashes, then read here. Your data stays in this tab.
      </p>
      <form
        className="grid gap-4 sm:grid-cols-3"
        onSubmit={(e) => {
          e.preventDefault();
          void findModel(id, revision, token);
        }}
      >
        <Field label="Model id" help="owner/name" numeric={false} value={id} onChange={setId} />
        <Field
          label="Revision"
          help="branch, tag or commit"
          numeric={false}
          value={revision}
          onChange={setRevision}
        />
        <Field
          label="Access token"
          help="optional; kept only while this page is open"
          numeric={false}
          secret
          value={token}
          onChange={onToken}
        />
        <div>
          <Button type="submit" isDisabled={finding || id.trim() === ''}>
            {finding ? 'Finding …' : 'Find model'}
          </Button>
        </div>
      </form>
      <Offers seen={seen} token={token} />
      <Suggestions seen={seen} onChoose={suggest} />
    </div>
  );
}

const keyOf = ({ id, commit }: HubModel): string => `${id}@${commit}`;

/** What was found, each with its size, and whether it can be trained. */
function Offers({ seen, token }: { seen: boolean; token: string }) {
  const offers = useApp((s) => s.library.offers);
  const { download, judgeOffer } = useActions();
  const sized = useMemo(() => offers.filter(({ gguf }) => gguf === null).map(keyOf), [offers]);
  const judge = useCallback(
    async (key: string) => judgeOffer(offers.find((offer) => keyOf(offer) === key)!, token),
    [offers, token, judgeOffer],
  );
  const verdicts = useVerdicts(seen, sized, judge);
  const stored = useApp((s) => s.library.stored);
  const busy = useApp((s) => s.library.download !== null);
  if (offers.length === 0) return null;
  return (
    <ul className="flex flex-col gap-2" data-testid="offers">
      {offers.map((offer) => {
        const name = nameOfModel(offer);
        const verdict = offer.gguf === null ? verdicts[keyOf(offer)] : undefined;
        const here = stored?.some(
          (m) => m.complete && nameOfModel(m) === name && m.commit === offer.commit,
        );
        return (
          <li
            key={name}
            className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 rounded-xl bg-sunk px-4 py-3"
          >
            <div className="min-w-0">
              <p className="font-medium break-words">{name}</p>
              <p className="hint">
                {bytes(offer.bytes)} ·{' '}
                {offer.files.length === 1 ? 'one file' : `${offer.files.length} files`} ·{' '}
                {offer.revision} is commit {offer.commit.slice(0, 8)}
                {here && ' · on this device'}
              </p>
              {offer.gguf === null && (
                <p className="text-sm" data-testid="offer-verdict">
                  Training: <Verdict verdict={verdict} />
                </p>
              )}
            </div>
            {!here && (
              <Button
                look="small primary"
                isDisabled={busy || verdict?.verdict === 'refused'}
                aria-label={`Download ${name}`}
                onPress={() => void download(offer, token)}
              >
                Download
              </Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}
