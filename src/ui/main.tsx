// Starts the page: workers, store, first render.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createActions } from '../state/actions.ts';
import { createAppStore } from '../state/store.ts';
import { startWorkers } from '../worker/protocol/client.ts';
import { App } from './App.tsx';
import { AppContext } from './context.ts';
import './styles.css';
import { followTheme } from './shared/theme.ts';

followTheme();
const app = createAppStore();
const client = startWorkers(app.dispatch, (message) =>
  app.dispatch({ type: 'failure', code: 'internal', message }),
);
const actions = createActions(app, client);
void actions.checkDevice();

// A file that misses a drop zone must not replace the page.
for (const name of ['dragover', 'drop']) window.addEventListener(name, (e) => e.preventDefault());

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <AppContext value={{ app, actions }}>
      <App />
    </AppContext>
  </StrictMode>,
);
