import { o01 } from './scenarios/o01.ts';

const [load = '5×', baseline, seconds = '8', off = ''] = process.argv.slice(2);
const t = performance.now();
const c = o01.cases.find((x) => x.name === load)!;
const { figures, events } = c.run({
  seed: Number(process.env['SEED'] ?? 1),
  off: new Set(off.split(',').filter(Boolean)) as never,
  ...(baseline && baseline !== '-' ? { baseline: baseline as never } : {}),
  seconds: Number(seconds),
});
const w = performance.now() - t;
for (const f of figures) console.log(f.name.padEnd(40), f.value.toFixed(3), f.unit, f.n ?? '');
console.log(events, 'events', ((events / w) * 1000).toFixed(0), '/s', w.toFixed(0), 'ms');
