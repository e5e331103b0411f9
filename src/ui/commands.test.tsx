// @vitest-environment happy-dom
// The commands of the page: their list, their files, their buttons, their shortcuts and the list of
// shortcuts say the same.
import { act, cleanup, fireEvent, screen, within } from '@testing-library/react';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { uniformAllocation } from '../allocation/allocation.ts';
import { withCount } from '../allocation/review.ts';
import {
  createPage,
  model,
  openPage,
  parts,
  searchReport,
  settle,
  sitePath,
  training,
} from '../testing/page.tsx';
import type { UpperSeries } from '../worker/protocol/api.ts';
import { commands } from './commands.ts';
import { type Command, isVisible } from './shared/command.ts';
import { singleKeys } from './shared/shortcut.ts';
import { theme } from './shared/theme.ts';

// these need a canvas; the end-to-end tests see them
vi.mock('./search/CellGrid.tsx', () => ({ CellGrid: () => <div>grid</div> }));
vi.mock('./train/LossChart.tsx', () => ({ default: () => <div>chart</div> }));

beforeAll(parts, 120_000);
beforeEach(() => {
  theme.set('light');
  singleKeys.set('on');
});
afterEach(cleanup);

type Page = ReturnType<typeof createPage>;

/** One step of the search, over two linears of 4 experts of rank 4. */
function upper(step: number): UpperSeries {
  const one = Float64Array.of(0);
  const values = new Float32Array(2 * (4 + 4 * 4));
  return { step: Float64Array.of(step), loss: one, lambda: one, share: one, values };
}

async function begin(page: Page) {
  await act(() => page.actions.checkDevice());
  await page.ready();
  await act(() => page.actions.start());
}
async function train(page: Page) {
  await begin(page);
  page.event({ type: 'training-began', report: training });
  page.event({ type: 'phase', phase: 'training' });
}
function trained({ event }: Page, phase: 'paused' | 'finished') {
  const one = Float64Array.of(1);
  const series = { step: one, loss: one, ce: one, balance: one, lr: one, gradNorm: one };
  const steps = { ...series, tokens: one, seconds: one };
  event({ type: 'steps', stage: 'train', series: steps, total: 100 });
  event({ type: 'phase', phase });
}
async function search(page: Page) {
  await act(() => page.actions.setForm({ search: true, waitAtReview: true }));
  await begin(page);
  page.event({ type: 'search-began', report: searchReport(true) });
  page.event({ type: 'phase', phase: 'searching' });
  for (const step of [0, 1, 2]) page.event({ type: 'upper', series: upper(step), total: 20 });
}

/** The page in all its states, as far as commands go. */
const scenes: Record<string, (page: Page) => Promise<void>> = {
  'before the device is known': async () => {},
  'at first': (page) => act(() => page.actions.checkDevice()),
  'while a model loads': async ({ event }) => event({ type: 'model-loading' }),
  'with a model': async ({ event }) => event({ type: 'model-ready', report: model, demo: true }),
  'while data is read': async ({ event }) => {
    event({ type: 'model-ready', report: model, demo: false });
    event({ type: 'data-reading' });
  },
  'with model and data': (page) => page.ready(),
  'with a mistake': async (page) => {
    await page.ready();
    await act(() => page.actions.setForm({ 'train.steps': '0', search: true }));
  },
  'while a run is prepared': begin,
  'in training': train,
  'once a pause was asked for': async (page) => {
    await train(page);
    await act(async () => void page.actions.pause());
  },
  paused: async (page) => {
    await train(page);
    trained(page, 'paused');
  },
  'after a run': async (page) => {
    await train(page);
    trained(page, 'finished');
  },
  'while an answer is written': async (page) => {
    await train(page);
    trained(page, 'finished');
    page.event({ type: 'asked', id: 1, prompt: 'Who?' });
  },
  'while rows are checked': async (page) => {
    await train(page);
    trained(page, 'finished');
    page.event({ type: 'held-out-busy', which: 'base' });
  },
  'in a search': search,
  'in a search, at an older step': async (page) => {
    await search(page);
    page.event({ type: 'playback', playback: { at: 1, playing: false } });
  },
  'in the review, changed and undone': async (page) => {
    await search(page);
    const found = uniformAllocation(2, ['q_proj'], 2, 3);
    const report = { found, step: 20, complete: true, problem: null };
    page.event({ type: 'review', report });
    page.event({ type: 'phase', phase: 'review' });
    for (const count of [3, 4]) {
      const limits = { maxExperts: 4, maxRank: 4 };
      act(() => page.actions.editAllocation(withCount(found, sitePath(1), count, limits)));
    }
    act(() => page.actions.undoReview());
  },
  'while a model is downloaded': async ({ event }) =>
    event({ type: 'download-began', name: 'lab/tiny', total: 9 }),
  'while the device is measured': async (page) => {
    await page.ready();
    page.event({ type: 'benchmark-began' });
  },
  'with a question typed': async (page) => {
    await page.ready();
    act(() => page.actions.setQuestion({ prompt: 'Who?' }));
  },
};

async function openAt(scene: string): Promise<Page> {
  cleanup();
  theme.set('light');
  const page = openPage();
  await scenes[scene](page);
  await settle();
  return page;
}

const buttonOf = ({ id }: Command) =>
  document.querySelector<HTMLButtonElement>(`[data-command="${id}"]`);
const withShortcut = commands.filter(({ shortcut }) => shortcut !== null);

/** Presses a shortcut where it is meant to be pressed. */
function strike({ shortcut, within: place }: Command, at?: Element) {
  const keys = shortcut!.split('+');
  const key = keys.pop()!;
  const target = at ?? (place && document.querySelector(place.selector)) ?? document.body;
  return act(async () => {
    fireEvent.keyDown(target, {
      key: key === 'Space' ? ' ' : key,
      ctrlKey: keys.includes('Mod'),
      shiftKey: keys.includes('Shift') || key === '?',
      altKey: keys.includes('Alt'),
    });
  });
}

/** The state, without what the page itself does in its own time. */
const stateOf = ({ app }: Page) => ({ ...app.getState(), memory: null });
/** All that a command can do here: calls of the workers, the state, the theme. */
const effects = (page: Page) => {
  const { estimateMemory: _, ...trainer } = page.trainer;
  const { split: __, ...data } = page.data;
  const calls = Object.entries({ ...trainer, ...data }).map(([name, f]) => [name, f.mock.calls]);
  return JSON.stringify([calls, stateOf(page), theme.get()]);
};

describe('the list', () => {
  test('has every file of the folder, and every command has its own', () => {
    const files = import.meta.glob<Record<string, Command>>('./commands/*.ts', { eager: true });
    const nameOf = ({ id }: Command) => id.replaceAll(/-(.)/g, (_, c: string) => c.toUpperCase());
    expect(Object.keys(files).sort()).toEqual(
      commands.map(({ id }) => `./commands/${id}.ts`).sort(),
    );
    for (const command of commands)
      expect({ ...files[`./commands/${command.id}.ts`] }).toEqual({ [nameOf(command)]: command });
  });

  test('has no two commands of one shortcut, and none of the keys that browsers keep', () => {
    const shortcuts = withShortcut.map(({ shortcut }) => shortcut!);
    expect(new Set(shortcuts).size).toBe(shortcuts.length);
    for (const key of 'ADFGHJKLNOPRSTUWX1234567890+-')
      expect(shortcuts).not.toContain(`Mod+${key}`);
    for (const shortcut of shortcuts) expect(shortcut).toMatch(/^(Mod\+)?(Alt\+)?(Shift\+)?[^+]+$/);
  });
});

test('in every state of the page, a button says what its command says, and no other button has its words', async () => {
  const seen = new Set<string>();
  for (const scene of Object.keys(scenes)) {
    const { app } = await openAt(scene);
    const state = app.getState();
    const visible = commands.filter((command) => isVisible(command, state));
    for (const button of document.querySelectorAll<HTMLButtonElement>('[data-command]')) {
      const command = commands.find(({ id }) => id === button.dataset.command)!;
      const why = command.why(state);
      const where = `${command.id} ${scene}`;
      seen.add(command.id);
      expect(visible, where).toContain(command);
      expect(button.textContent, where).toBe(command.label(state));
      expect(button.getAttribute('aria-keyshortcuts'), where).toBe(
        command.shortcut?.replace('Mod', 'Control') ?? null,
      );
      expect(button.getAttribute('aria-disabled'), where).toBe(why === null ? null : 'true');
      expect(button.disabled, where).toBe(false); // it can be focused, and its reason heard
      if (why !== null) expect(button.title, where).toBe(why);
    }
    const words = visible.map((command) => command.label(state));
    for (const other of document.querySelectorAll('button:not([data-command])'))
      expect(words, scene).not.toContain(other.textContent);
  }
  const unseen = commands.filter(({ id }) => !seen.has(id));
  expect(unseen.map(({ id }) => id)).toEqual(['switch-theme']); // whose choice has three values
}, 60_000);

test.each(withShortcut.map((command) => [command.shortcut!, command] as const))(
  '%s does what its button does, and nothing where that is off',
  async (_, command) => {
    const tried = new Set<'hidden' | 'off' | 'on'>();
    for (const scene of Object.keys(scenes)) {
      const page = createPage();
      await scenes[scene](page);
      const state = page.app.getState();
      const can = !isVisible(command, state) ? 'hidden' : command.why(state) ? 'off' : 'on';
      if (tried.has(can)) continue;
      tried.add(can);
      const byKey = await openAt(scene);
      const before = { ...stateOf(byKey), announcement: expect.any(String) };
      const effectsBefore = effects(byKey);
      await strike(command);
      if (can !== 'on') {
        expect(stateOf(byKey), scene).toEqual(before);
        continue;
      }
      const struck = effects(byKey);
      expect(struck, scene).not.toBe(effectsBefore);
      const byButton = await openAt(scene);
      const button = buttonOf(command);
      if (!button) continue; // the theme's
      await act(async () => fireEvent.click(button));
      expect(effects(byButton), scene).toBe(struck);
    }
    expect(tried).toContain('on');
  },
);

test('shortcuts are not for text fields; those of one key can be turned off', async () => {
  const page = await openAt('in the review, changed and undone');
  const state = stateOf(page);
  for (const command of withShortcut.filter((c) => !c.within))
    await strike(command, screen.getByLabelText('Prompt'));
  expect(stateOf(page)).toEqual(state);
  singleKeys.set('off');
  for (const command of commands.filter(({ shortcut }) => ['?', '[', ']'].includes(shortcut ?? '')))
    await strike(command);
  expect(stateOf(page)).toEqual(state);
  expect(screen.getByRole('button', { name: 'Keyboard shortcuts' }).ariaKeyShortcuts).toBeFalsy();
  await strike(commands.find(({ id }) => id === 'undo')!);
  expect(page.app.getState().review!.past).toHaveLength(0);
});

test('? lists exactly the commands that have a shortcut; meanwhile none of them does a thing; Escape closes it', async () => {
  const { app, trainer } = await openAt('in training');
  await strike(commands.find(({ id }) => id === 'show-shortcuts')!);
  await settle();
  const dialog = screen.getByRole('dialog', { name: 'Keyboard shortcuts' });
  const lines = [...dialog.querySelectorAll<HTMLElement>('[data-shortcut]')];
  expect(lines.map((line) => line.dataset.shortcut).sort()).toEqual(
    withShortcut.map(({ id }) => id).sort(),
  );
  for (const line of lines) {
    const {
      shortcut,
      label,
      within: place,
    } = commands.find(({ id }) => id === line.dataset.shortcut)!;
    const [name, keys] = [line.querySelector('dt')!, [...line.querySelectorAll('kbd')]];
    expect(name.textContent).toBe(label(app.getState()) + (place ? ` ${place.words}` : ''));
    expect(keys.map((key) => key.textContent).join('+')).toBe(shortcut!.replace('Mod', 'Ctrl'));
  }
  await strike(commands.find(({ id }) => id === 'pause-run')!);
  expect(trainer.pause).not.toHaveBeenCalled();
  fireEvent.click(within(dialog).getByRole('switch', { name: /^Single-key shortcuts/ }));
  expect(singleKeys.get()).toBe('off');
  await act(async () => fireEvent.keyDown(document.activeElement!, { key: 'Escape' }));
  expect(screen.queryByRole('dialog')).toBeNull();
});
