// A command as a button, and its shortcut as keys.
import type { ReactNode, Ref } from 'react';
import { useApp, usePage } from '../context.ts';
import { type Command, isVisible, perform } from './command.ts';
import { Button } from './controls.tsx';
import { usePreference } from './preference.ts';
import { ariaOf, isSingleKey, keysOf, singleKeys } from './shortcut.ts';

/** The shortcut of a command that works now; null: none. */
export function useShortcut({ shortcut, within }: Command): string | null {
  const isOn = usePreference(singleKeys) === 'on';
  return shortcut && (isOn || within || !isSingleKey(shortcut)) ? shortcut : null;
}

/**
 * One that can't be pressed now says why, as its description and tooltip; it keeps the focus, so
 * that the reason can be heard.
 */
export function CommandButton(props: {
  command: Command;
  icon?: ReactNode;
  look?: Parameters<typeof Button>[0]['look'];
  className?: string;
  /** The icon alone is seen; or alone where the page is narrow. */
  hideLabel?: boolean | 'narrow';
  /** Of one that is on or off. */
  pressed?: boolean;
  ref?: Ref<HTMLButtonElement>;
}) {
  const { command, icon, hideLabel, pressed, ...rest } = props;
  const page = usePage();
  const shown = useApp((s) => isVisible(command, s));
  const label = useApp((s) => command.label(s));
  const why = useApp((s) => command.why(s));
  const shortcut = useShortcut(command);
  if (!shown) return null;
  return (
    <Button
      {...rest}
      data-command={command.id}
      isDisabled={why !== null}
      aria-pressed={pressed}
      onPress={() => perform(command, page)}
      render={(dom) => (
        <button
          {...dom}
          disabled={false}
          aria-disabled={why !== null || undefined}
          aria-keyshortcuts={shortcut ? ariaOf(shortcut) : undefined}
          title={why ?? (hideLabel ? label : undefined)}
        />
      )}
    >
      {icon}
      <span className={hideLabel === true ? 'sr-only' : hideLabel ? 'max-lg:sr-only' : ''}>
        {label}
      </span>
    </Button>
  );
}

/** The keys of a command's shortcut, and whether they are off. */
export function Keys({ command }: { command: Command }) {
  const keys = keysOf(command.shortcut ?? '');
  const isOff = useShortcut(command) === null;
  return (
    <span className="inline-flex items-baseline gap-1">
      {isOff && <span className="mr-1 text-sm text-muted">off:</span>}
      {keys.map((key) => (
        <kbd
          key={key}
          className="rounded-md border border-line-strong bg-sunk px-1.5 py-0.5 font-mono text-xs text-ink"
        >
          {key}
        </kbd>
      ))}
    </span>
  );
}
