// The rail (a bar on small screens): where one is, what is done, and the theme.
import { isOpen } from '../../state/run.ts';
import { hasTuned, type State } from '../../state/state.ts';
import { showShortcuts } from '../commands/show-shortcuts.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Choice } from '../shared/controls.tsx';
import { CheckIcon, KeyboardIcon, Mark, MoonIcon, ScreenIcon, SunIcon } from '../shared/icons.tsx';
import { usePreference } from '../shared/preference.ts';
import { theme } from '../shared/theme.ts';

type Dot = 'empty' | 'busy' | 'done';
const words: Record<Dot, string> = { empty: 'not yet', busy: 'under way', done: 'done' };

const sections: readonly { id: string; title: string; dot(s: State): Dot }[] = [
  {
    id: 'model',
    title: 'Model',
    dot: (s) => (s.model.status === 'loading' ? 'busy' : s.model.report ? 'done' : 'empty'),
  },
  {
    id: 'data',
    title: 'Data',
    dot: (s) => (s.data.status === 'reading' ? 'busy' : s.data.report ? 'done' : 'empty'),
  },
  {
    id: 'train',
    title: 'Train',
    dot: (s) => (isOpen(s.run.phase) ? 'busy' : hasTuned(s) ? 'done' : 'empty'),
  },
  {
    id: 'chat',
    title: 'Try it',
    dot: (s) => (s.chat.busy || s.heldOut.busy ? 'busy' : s.chat.exchange ? 'done' : 'empty'),
  },
  {
    id: 'export',
    title: 'Export',
    dot: (s) =>
      s.exported.status === 'busy' ? 'busy' : s.exported.status === 'ready' ? 'done' : 'empty',
  },
];

function Mark_({ dot }: { dot: Dot }) {
  const look = {
    empty: 'border-line-strong',
    busy: 'border-accent bg-accent-soft animate-pulse',
    done: 'border-accent bg-accent text-on-accent',
  }[dot];
  return (
    <span
      className={`hidden size-4.5 place-items-center rounded-full border sm:grid ${look}`}
      aria-hidden="true"
    >
      {dot === 'done' && (
        <span className="scale-65">
          <CheckIcon />
        </span>
      )}
    </span>
  );
}

function Item({ id, title, dot }: (typeof sections)[number]) {
  const state = useApp(dot);
  return (
    <li>
      <a
        href={`#${id}`}
        className="flex min-h-9 items-center gap-2.5 rounded-lg px-2.5 whitespace-nowrap text-ink no-underline hover:bg-sunk"
      >
        <Mark_ dot={state} />
        {title}
        <span className="sr-only">({words[state]})</span>
      </a>
    </li>
  );
}

const themes = [
  { value: 'system', label: <ScreenIcon />, name: 'System' },
  { value: 'light', label: <SunIcon />, name: 'Light' },
  { value: 'dark', label: <MoonIcon />, name: 'Dark' },
] as const;

export function Rail() {
  const chosen = usePreference(theme);
  const running = useApp((s) => isOpen(s.run.phase));
  return (
    <header
      className={`sticky top-0 z-20 flex flex-wrap items-center border-b border-line bg-page/95 px-3 py-2 backdrop-blur sm:px-6 lg:h-dvh lg:flex-col lg:flex-nowrap lg:items-stretch lg:gap-6 lg:border-0 lg:px-4 lg:pt-10 ${running ? 'lg:pb-28' : 'lg:pb-10'}`}
    >
      <div className="flex items-center gap-2.5">
        <Mark />
        <span className="leading-tight font-semibold tracking-tight">GuiLoMo Studio</span>
      </div>
      <nav
        aria-label="Sections"
        className="order-last -ml-1 min-w-0 grow basis-4/5 overflow-x-auto lg:order-none lg:ml-0 lg:grow-0 lg:basis-auto"
      >
        <ol className="flex lg:flex-col lg:gap-0.5">
          {sections.map((section) => (
            <Item key={section.id} {...section} />
          ))}
        </ol>
      </nav>
      <CommandButton
        command={showShortcuts}
        look="small quiet"
        hideLabel="narrow"
        className="order-last !px-2 lg:order-none lg:mt-auto lg:-mb-3 lg:w-fit"
        icon={<KeyboardIcon />}
      />
      <div className="ml-auto lg:ml-0">
        <Choice label="Theme" hideLabel value={chosen} options={themes} onChange={theme.set} />
      </div>
    </header>
  );
}
