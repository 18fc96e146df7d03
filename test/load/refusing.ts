import { parseArgs } from 'node:util';
import type { Kind } from '@spillway/load/kind';
import { constantRate } from '@spillway/load/profile';
import type { LoadReport } from '@spillway/load/report';
import { at, phaseOf } from '@spillway/load/report-parts';
import { runLoad } from '@spillway/load/run-load';
import { type Mesh, startMesh } from '@spillway/testing/mesh';
import { table } from '../sim/run/report.ts';
import { say } from '../support/say.ts';
import { aboutRun } from './about-run.ts';
import { AS_DEPLOYED } from './as-deployed.ts';
import { cpuOf } from './cpu.ts';
import { publish } from './document.ts';
import { untilServed } from './flood/mesh-metrics.ts';
import { standardKind } from './flood/mix.ts';
import { capacityOf } from './flood/one-flood.ts';

const HELP = `What a refusal costs the gateway beside an answer (ρ), and how much faster than a model it is (H).

  node test/load/refusing.ts [options]

  --rate N         requests/s of each kind (default 1500)
  --seconds N      measured seconds of each kind (default 8)
  --model NAME     whose capacity H refers to (default simulated)
  --section NAME   replaces that section of docs/benchmarks.md
  --help

Survivable overload: x = 1 + (H / 1.05 − 1) / ρ.`;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '1500' },
    seconds: { type: 'string', default: '8' },
    model: { type: 'string', default: 'simulated' },
    section: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

/** Never busy: its answers cost the gateway what answers cost. */
const FAST = 'mlp';
const WARM_UP_MS = 4_000;
const CONNECTIONS = 128;
const PHASE = 'all';

type Cost = { what: string; perSecond: number; us: number; p50: number | null; p99: number | null };

/** CPU of the gateway for each request of a kind, µs, and how long its callers waited. */
async function costOf(mesh: Mesh, what: string, kind: Kind): Promise<Cost & { report: LoadReport }> {
  const [rate, seconds] = [Number(values.rate), Number(values.seconds)];
  const pids = { gateway: mesh.of('gateway').map(({ pid }) => pid) };
  say(`${what}: ${rate}/s for ${seconds} s`);
  const run = (ms: number): Promise<LoadReport> =>
    runLoad({
      kinds: [kind],
      plan: { profile: [{ label: PHASE, pieces: constantRate(rate, ms) }], process: 'poisson' },
      targets: { http: mesh.url },
      maxConnections: 512,
    });
  await run(WARM_UP_MS); // refusals are new to a gateway that was never busy
  const before = cpuOf(pids);
  const report = await run(seconds * 1_000);
  const cpuSeconds = (cpuOf(pids)['gateway'] ?? 0) - (before['gateway'] ?? 0);
  const { all } = phaseOf(report, PHASE);
  const waited = all.refused > all.served ? all.refusalLatency : all.latency;
  const [p50, p99] = [at(waited, 0.5), at(waited, 0.99)];
  return { what, perSecond: all.offered / seconds, us: (cpuSeconds * 1e6) / all.offered, p50, p99, report };
}

if (values.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  await using mesh = await startMesh({
    env: AS_DEPLOYED,
    tenants: [{ tenant: 'spent', class: 'standard', quota: { requestsPerSecond: 1 } }],
  });
  await untilServed(mesh, FAST);
  await untilServed(mesh, values.model);
  const kindOf = (model: string): Kind => standardKind({ model, keys: mesh.keys, deadlineMs: 1_000 });
  const answered = await costOf(mesh, 'answered', kindOf(FAST));
  const atDoor = await costOf(mesh, 'refused at the door (quota)', { ...kindOf(FAST), key: mesh.keys['spent'] });
  const flooded = await costOf(mesh, 'refused by admission (fair rate)', kindOf(values.model));
  const { served, offered } = phaseOf(flooded.report, PHASE).all;
  const share = served / offered;
  const decided: Cost = { ...flooded, us: (flooded.us - share * answered.us) / (1 - share) };
  const gateway = await capacityOf(mesh, { model: FAST, deadlineMs: 5_000, inFlight: CONNECTIONS, seconds: 8 });
  const model = await capacityOf(mesh, { model: values.model, deadlineMs: 5_000, inFlight: CONNECTIONS, seconds: 8 });
  const h = gateway / model;
  const number = (value: number | null): string => (value === null ? '–' : value.toFixed(2));
  const line = ({ what, perSecond, us, p50, p99 }: Cost): string[] => {
    const rho = us / answered.us;
    const survivable = what === answered.what ? '' : `${(1 + (h / 1.05 - 1) / rho).toFixed(0)} ×`;
    return [what, perSecond.toFixed(0), us.toFixed(0), rho.toFixed(2), number(p50), number(p99), survivable];
  };
  const head = ['requests', 'per second', 'CPU µs', 'ρ', 'p50 ms', 'p99 ms', `survivable, ${values.model}`];
  const text = [
    aboutRun(),
    table(head, [answered, atDoor, decided].map(line)),
    `H = ${gateway.toFixed(0)} / ${model.toFixed(0)} = ${h.toFixed(1)}: what one gateway carries (${FAST}, ${CONNECTIONS} connections, everything on the same cores) over the capacity of ${values.model}.`,
  ].join('\n\n');
  publish(text, values.section);
}
