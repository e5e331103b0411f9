// The library worker: Library behind comlink. It is started when it is first needed.
import * as Comlink from 'comlink';
import { Library } from './library.ts';

Comlink.expose(new Library());
