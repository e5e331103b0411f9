// The page: rail, sections, run bar.
import { lazy, Suspense, useEffect } from 'react';
import { isOpen } from '../state/run.ts';
import { ChatSection } from './chat/ChatSection.tsx';
import { useApp } from './context.ts';
import { DataSection } from './data/DataSection.tsx';
import { ExportSection } from './export/ExportSection.tsx';
import { ModelSection } from './model/ModelSection.tsx';
import { LiveRegion, Notices } from './shared/Notices.tsx';
import { Hero } from './shell/Hero.tsx';
import { Rail } from './shell/Rail.tsx';
import { RunBar } from './shell/RunBar.tsx';
import { useShortcuts } from './shell/useShortcuts.ts';
import { TrainSection } from './train/TrainSection.tsx';

const Benchmark = lazy(() =>
  import('./shell/Benchmark.tsx').then((m) => ({ default: m.Benchmark })),
);
const Shortcuts = lazy(() =>
  import('./shell/Shortcuts.tsx').then((m) => ({ default: m.Shortcuts })),
);

/** Leaving the page during a run would lose it: the browser asks first. */
function useLeaveQuestion(running: boolean) {
  useEffect(() => {
    if (!running) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [running]);
}

export function App() {
  const running = useApp((s) => isOpen(s.run.phase));
  const shortcuts = useApp((s) => s.shortcuts);
  const benchmark = useApp((s) => s.benchmark.status !== 'none');
  useShortcuts();
  useLeaveQuestion(running);
  return (
    <div className="mx-auto max-w-[76rem] lg:grid lg:grid-cols-[13rem_minmax(0,1fr)]">
      <a href="#model" className="btn btn-primary fixed -top-40 left-2 z-40 focus:top-2">
        Skip to content
      </a>
      <Rail />
      <Notices />
      <main
        className={`flex min-w-0 flex-col gap-5 px-3 pt-4 sm:px-6 lg:pt-10 ${running ? 'pb-40' : 'pb-16'}`}
      >
        <Hero />
        <Suspense>{benchmark && <Benchmark />}</Suspense>
        <ModelSection />
        <DataSection />
        <TrainSection />
        <ChatSection />
        <ExportSection />
      </main>
      <RunBar />
      <Suspense>{shortcuts && <Shortcuts />}</Suspense>
      <LiveRegion />
    </div>
  );
}
