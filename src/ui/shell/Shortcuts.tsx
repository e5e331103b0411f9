// The list of keyboard shortcuts: all commands that have one.
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { commands } from '../commands.ts';
import { useApp, usePage } from '../context.ts';
import { Keys } from '../shared/CommandButton.tsx';
import type { Command } from '../shared/command.ts';
import { Button, Toggle } from '../shared/controls.tsx';
import { CloseIcon } from '../shared/icons.tsx';
import { usePreference } from '../shared/preference.ts';
import { singleKeys } from '../shared/shortcut.ts';

const listed = commands.filter(({ shortcut }) => shortcut !== null);
const groups = [...new Set(listed.map(({ group }) => group))];

export function Shortcuts() {
  const { app } = usePage();
  const single = usePreference(singleKeys);
  const show = (shown: boolean) => app.dispatch({ type: 'shortcuts-shown', shown });
  return (
    <ModalOverlay
      isOpen
      onOpenChange={show}
      isDismissable
      className="fixed inset-0 z-40 flex items-center justify-center bg-black/50 p-3"
    >
      <Modal className="card max-h-full w-full max-w-md overflow-y-auto !p-0 shadow-xl">
        <Dialog className="p-5 outline-none sm:p-6" data-testid="shortcuts">
          <div className="flex items-center justify-between gap-4">
            <Heading slot="title" level={2} className="text-xl font-semibold tracking-tight">
              Keyboard shortcuts
            </Heading>
            <Button
              look="small quiet"
              aria-label="Close"
              className="-mr-2 !px-1.5"
              onPress={() => show(false)}
            >
              <CloseIcon />
            </Button>
          </div>
          {groups.map((group) => (
            <section key={group} aria-label={group} className="mt-4">
              <h3 className="eyebrow">{group}</h3>
              <dl className="divide-y divide-line">
                {listed
                  .filter((command) => command.group === group)
                  .map((command) => (
                    <Line key={command.id} command={command} />
                  ))}
              </dl>
            </section>
          ))}
          <div className="mt-5 border-t border-line pt-4">
            <Toggle
              label="Single-key shortcuts"
              help="Turn them off if speech input or stray keys trigger them."
              selected={single === 'on'}
              onChange={(on) => singleKeys.set(on ? 'on' : 'off')}
            />
          </div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function Line({ command }: { command: Command }) {
  const label = useApp((s) => command.label(s));
  return (
    <div className="flex items-baseline justify-between gap-4 py-2" data-shortcut={command.id}>
      <dt>
        {label}
        {command.within && <span className="hint"> {command.within.words}</span>}
      </dt>
      <dd className="shrink-0">
        <Keys command={command} />
      </dd>
    </div>
  );
}
