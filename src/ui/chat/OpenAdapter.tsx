// Opening an adapter that was exported before, beside its base model.
import { methodOf } from '../../adapters/methods/methods.ts';
import { isOpen } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import { useActions, useApp } from '../context.ts';
import { FileDrop } from '../shared/FileDrop.tsx';
import { short } from '../shared/format.ts';
import { FileIcon } from '../shared/icons.tsx';

export function OpenAdapter() {
  const adapter = useApp((s) => s.adapter);
  const tuned = useApp(hasTuned);
  const model = useApp((s) => s.model.report?.name);
  const busy = useApp(
    (s) =>
      isOpen(s.run.phase) || s.chat.busy || s.heldOut.busy !== null || s.exported.status === 'busy',
  );
  const { openAdapter } = useActions();
  return (
    <div className="flex flex-col gap-3 border-t border-line pt-6" data-testid="open-adapter">
      {adapter && (
        <p data-testid="opened">
          <span className="font-semibold break-words">{adapter.name}</span> is the tuned model:{' '}
          {short(adapter.parameters)} parameters, {methodOf(adapter.method).about}
          {adapter.base !== '' && adapter.base !== model
            ? `; its configuration names “${adapter.base}” as the base model`
            : ''}
          .
        </p>
      )}
      <FileDrop
        label="Open an adapter"
        hint={`A zip exported here, or adapter_config.json and adapter_model.safetensors from a folder.${tuned ? ' It replaces the current adapter: export that first.' : ''}`}
        button="Choose adapter"
        icon={<FileIcon />}
        accept={['.zip', '.json', '.safetensors']}
        disabled={busy}
        onChoose={({ files }) => void openAdapter(files)}
      />
    </div>
  );
}
