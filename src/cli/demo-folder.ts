// Where the built-in demo lies.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** public/demo: two folders above this file, and above the built dist/cli/main.js alike. */
export const demoFolder = join(dirname(fileURLToPath(import.meta.url)), '../../public/demo');
