import { type Arrivals, profileArrivals, replayArrivals } from '@spillway/load/arrivals';
import { poissonGaps } from '@spillway/load/gaps';
import type { Answer, Attempt, Service } from '../chain/attempt.ts';
import { type Draw, rowRate, type World } from '../chain/spec.ts';
import type { Cell, Hint, Tally, Timeline } from '../measure/tally.ts';
import type { Flow, RetryBehaviour, Tenant } from './flow.ts';
import { RetryBudget, type Try, tryAgain } from './retry.ts';

/** One user's request over all its attempts. */
type Call = {
  source: Source;
  cell: Cell;
  tenant: Tenant;
  user: number;
  startMs: number;
  budgetMs: number;
  hint: Hint | undefined;
} & Try;

type Source = { index: number; flow: Flow; arrivals: Arrivals; budget: RetryBudget; pick: (draw: Draw) => Tenant };

/** Attempts know their call; the service does not. */
type CallAttempt = Attempt & { call: Call };

export type PopulationOptions = {
  world: World;
  service: Service;
  flows: readonly Flow[];
  tally: Tally;
  /** Share of the calls that go to each gateway. */
  gatewayShares: readonly number[];
  withoutBudget: boolean;
};

const USERS = 1_000_000;
const SOON_MS = 10;

/** Open loop: calls begin when they are due, whatever became of the others. */
export class Population {
  readonly #options: PopulationOptions;
  readonly #draw: Draw;
  readonly #gateway: (draw: Draw) => number;

  constructor(options: PopulationOptions) {
    this.#options = options;
    const { world, flows, gatewayShares } = options;
    this.#draw = world.draw('clients');
    this.#gateway = pickIndex(gatewayShares);
    for (const [index, flow] of flows.entries()) {
      const random = world.draw(`arrivals ${flow.name}`);
      const pick = pickIndex(flow.tenants.map(({ share }) => share));
      const source: Source = {
        index,
        flow,
        arrivals: flow.timesMs ? replayArrivals(flow.timesMs) : profileArrivals(flow.pieces, poissonGaps(random)),
        budget: new RetryBudget(),
        pick: (draw) => flow.tenants[pick(draw)] as Tenant,
      };
      this.#schedule(source);
    }
  }

  #schedule(source: Source): void {
    const atMs = source.arrivals.next();
    if (atMs < Number.POSITIVE_INFINITY) this.#options.world.sim.at(atMs, this.#arrive, source);
  }

  readonly #arrive = (source: Source): void => {
    const { world, tally } = this.#options;
    const { flow, index } = source;
    const startMs = world.sim.now();
    const deadlines = flow.deadlinesMs;
    const call: Call = {
      source,
      cell: tally.cellAt(index, startMs),
      tenant: source.pick(this.#draw),
      user: Math.floor(this.#draw() * USERS),
      startMs,
      budgetMs: deadlines[deadlines.length === 1 ? 0 : Math.floor(this.#draw() * deadlines.length)] as number,
      hint: undefined,
      attempts: 0,
      endsAtMs: 0,
    };
    call.endsAtMs = startMs + call.budgetMs;
    call.cell.calls += 1;
    (tally.begun[index] as Timeline).add(startMs, 1);
    this.#send(call);
    this.#schedule(source);
  };

  readonly #send = (call: Call): void => {
    const { world, service } = this.#options;
    const { flow } = call.source;
    const nowMs = world.sim.now();
    call.attempts += 1;
    call.cell.attempts += 1;
    const attempt: CallAttempt = {
      call,
      model: flow.model,
      rank: flow.rank,
      tenant: call.tenant.name,
      keyId: call.tenant.keyId,
      user: call.user,
      rows: flow.rows ?? 1,
      acceptsTicket: flow.acceptsTicket ?? false,
      sentAtMs: nowMs,
      deadlineMs: call.endsAtMs,
      onAnswer: this.#answered as Attempt['onAnswer'],
      open: true,
      admitted: false,
      variant: '',
      onEnd: undefined,
    };
    service.submit(attempt, this.#gateway(this.#draw));
  };

  readonly #answered = (attempt: CallAttempt, answer: Answer): void => {
    const { call, admitted, sentAtMs } = attempt;
    const { world } = this.#options;
    const nowMs = world.sim.now();
    const { source, cell } = call;
    if (admitted) cell.admitted += 1;
    if (answer.outcome === 'answered') this.#succeeded(call, answer, attempt, nowMs);
    else if (answer.outcome === 'ticket') cell.tickets += 1;
    else {
      cell.failures += 1;
      if (answer.outcome === 'refused') {
        cell.refusalLatency.add(nowMs - sentAtMs);
        if (nowMs - sentAtMs <= SOON_MS) cell.refusedSoon += 1;
      }
      cell.reasons.set(answer.reason, (cell.reasons.get(answer.reason) ?? 0) + 1);
      const behaviour = this.#options.withoutBudget ? unbudgeted(source.flow.retry) : source.flow.retry;
      const again = tryAgain(behaviour, call, answer, source.budget, nowMs, this.#draw);
      if (again === undefined) cell[answer.outcome] += 1;
      else {
        if (behaviour === 'obey') {
          call.hint = { atMs: nowMs + again.inMs, toldMs: again.inMs, answered: false };
          this.#options.tally.hint(call.hint);
        }
        if (again.newDeadline) call.endsAtMs = nowMs + again.inMs + call.budgetMs;
        world.sim.after(again.inMs, this.#send, call);
      }
    }
  };

  #succeeded(call: Call, { degraded }: Answer, { rows, model }: Attempt, nowMs: number): void {
    const { tally } = this.#options;
    const { source, cell, startMs } = call;
    cell.answered += 1;
    if (degraded) cell.degraded += 1;
    if (call.hint !== undefined) call.hint.answered = true;
    cell.latency.add(nowMs - startMs);
    source.budget.succeeded();
    (tally.answeredWork[source.index] as Timeline).add(nowMs, rows / rowRate(model));
    (tally.answered[source.index] as Timeline).add(startMs, 1);
  }
}

const unbudgeted = (retry: RetryBehaviour): RetryBehaviour => (retry === 'budget' ? 'naive' : retry);

/** Draws an index by weight. */
function pickIndex(shares: readonly number[]): (draw: Draw) => number {
  if (shares.length === 1) return () => 0;
  const total = shares.reduce((sum, share) => sum + share, 0);
  const even = shares.every((share) => share === shares[0]);
  if (even) return (draw) => Math.floor(draw() * shares.length);
  let sum = 0;
  const upTo = Float64Array.from(shares, (share) => {
    sum += share / total;
    return sum;
  });
  return (draw) => {
    const x = draw();
    let index = 0;
    while (index < upTo.length - 1 && (upTo[index] as number) <= x) index += 1;
    return index;
  };
}
