import { readFileSync, writeFileSync } from 'node:fs';
import { parseProfile } from '../src/profile-text.ts';
import { progressLine } from '../src/progress.ts';
import { runLoad } from '../src/run-load.ts';

const mesh = JSON.parse(readFileSync('/tmp/loadgen/mesh.json', 'utf8'));
const protocol = (process.argv[2] ?? 'http') as 'http';
const base = {
  phaseWeights: {},
  model: process.argv[5] ?? 'simulated',
  protocol,
  tenant: 'test',
  rows: 1,
  accept: undefined,
  cancel: undefined,
  headers: {},
  retry: { kind: 'none' as const },
  deadlineMs: [{ value: 500, weight: 1 }],
};
const report = await runLoad({
  kinds: [
    { ...base, name: 'vip', weight: 10, trafficClass: 'vip', key: mesh.keys.vip },
    { ...base, name: 'standard', weight: 60, trafficClass: 'standard', key: mesh.keys.standard },
    { ...base, name: 'bulk', weight: 30, trafficClass: 'bulk', key: mesh.keys.bulk },
  ],
  plan: { profile: parseProfile(process.argv[3] ?? 'calm: 100 3s', 300), process: 'poisson' },
  targets: { http: mesh.url, grpc: mesh.grpc, nats: mesh.nats },
  capacity: 300,
  metrics: { urls: mesh.health.map(([, h]: [string, string]) => `http://${h}/metrics`) },
  onProgress: (p) => console.error(progressLine(p)),
});
writeFileSync(process.argv[4] ?? '/tmp/loadgen/report.json', JSON.stringify(report));
import('../src/report-text.ts').then((m) => console.log(m.reportText(report).join('\n')));
