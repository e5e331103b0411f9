// Entry of the command line; started by scripts/cli.mjs.
import { processIo } from './io.ts';
import { run } from './run.ts';

const code = await run(process.argv.slice(2), processIo());
// Dawn's threads keep the process alive; what was written goes out first.
for (const stream of [process.stdout, process.stderr])
  await new Promise((resolve) => stream.write('', resolve));
process.exit(code);
