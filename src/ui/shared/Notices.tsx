// What went wrong, until it is dismissed, and the live region that speaks milestones.
import { titleOf } from '../../state/state.ts';
import { useActions, useApp } from '../context.ts';
import { Button } from './controls.tsx';
import { CloseIcon, WarningIcon } from './icons.tsx';

export function Notices() {
  const notices = useApp((s) => s.notices);
  const { dismiss } = useActions();
  return (
    <div
      role="alert"
      aria-label="Problems"
      className="fixed inset-x-3 top-3 z-30 mx-auto flex max-w-xl flex-col gap-2 sm:inset-x-4 sm:left-auto sm:mx-0"
    >
      {notices.map((notice) => (
        <div
          key={notice.id}
          data-testid="notice"
          className="flex items-start gap-3 rounded-xl border border-danger bg-danger-soft px-4 py-3 shadow-lg"
        >
          <span className="mt-0.5 text-danger">
            <WarningIcon />
          </span>
          <div className="max-h-48 min-w-0 grow overflow-y-auto break-words">
            <p className="font-semibold">{titleOf(notice)}</p>
            <p className="text-sm">{notice.message}</p>
          </div>
          <Button
            look="small quiet"
            aria-label={`Dismiss: ${titleOf(notice)}`}
            onPress={() => dismiss(notice.id)}
            className="-mr-2 !px-1.5"
          >
            <CloseIcon />
          </Button>
        </div>
      ))}
    </div>
  );
}

export function LiveRegion() {
  const announcement = useApp((s) => s.announcement);
  return (
    <div aria-live="polite" className="sr-only">
      {announcement}
    </div>
  );
}
