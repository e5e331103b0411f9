// The page: rail, sections, run bar.
import { useEffect } from 'react';
import { isOpen } from '../state/run.ts';
import { ChatSection } from './chat/ChatSection.tsx';
import { useActions, useApp } from './context.ts';
import { DataSection } from './data/DataSection.tsx';
import { ExportSection } from './export/ExportSection.tsx';
import { ModelSection } from './model/ModelSection.tsx';
import { LiveRegion, Notices } from './shared/Notices.tsx';
import { Hero } from './shell/Hero.tsx';
import { Rail } from './shell/Rail.tsx';
import { RunBar } from './shell/RunBar.tsx';
import { TrainSection } from './train/TrainSection.tsx';

/** Space pauses and resumes, unless a control has the focus that uses it. */
function usePauseKey() {
  const phase = useApp((s) => s.run.phase);
  const { pause, resume } = useActions();
  useEffect(() => {
    if (!isOpen(phase) || phase === 'review') return;
    const onKey = (e: KeyboardEvent) => {
      const busy =
        e.target instanceof Element &&
        e.target.closest(
          'input, textarea, select, button, a, summary, [role=radio], [role=switch], [role=gridcell], [role=slider]',
        );
      if (e.key !== ' ' || busy || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      if (phase === 'paused') resume();
      else pause();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [phase, pause, resume]);
}

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
  usePauseKey();
  useLeaveQuestion(running);
  return (
    <div className="mx-auto max-w-[76rem] lg:grid lg:grid-cols-[13rem_minmax(0,1fr)]">
      <a href="#model" className="btn btn-primary fixed -top-40 left-2 z-40 focus:top-2">
        Skip to the tool
      </a>
      <Rail />
      <Notices />
      <main
        className={`flex min-w-0 flex-col gap-5 px-3 pt-4 sm:px-6 lg:pt-10 ${running ? 'pb-40' : 'pb-16'}`}
      >
        <Hero />
        <ModelSection />
        <DataSection />
        <TrainSection />
        <ChatSection />
        <ExportSection />
      </main>
      <RunBar />
      <LiveRegion />
    </div>
  );
}
