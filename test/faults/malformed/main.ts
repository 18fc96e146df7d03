import { parseArgs } from 'node:util';
import { runCorpus } from './run.ts';

// node faults/malformed/main.ts --count 100000 [--seed 1]
const { values } = parseArgs({
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
});
const result = await runCorpus({ count: Number(values.count), seed: Number(values.seed) });
console.log(JSON.stringify(result, null, 2));
process.exitCode = result.faults.length === 0 ? 0 : 1;
