import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLASSES } from '@spillway/contracts/classes';
import { handBack } from '../../src/core/hand-back.ts';
import type { Dispatch } from '../../src/core/in-flight.ts';
import type { Work } from '../../src/core/work.ts';
import { Bench, doneOf, item, TestMessage } from './fixtures.ts';

/** mulberry32: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Fate = 'waiting' | 'running' | 'ran' | 'expired' | 'cancelled' | 'abandoned' | 'handed back';

/** Plays gateways, workers and time at random against the core, and keeps its own books. */
class Game {
  readonly bench = new Bench({ replyMarginMs: 1, maxBatchCost: 12 });
  readonly fates = new Map<Work, Fate>();
  readonly messages = new Map<TestMessage, Work[]>();
  readonly running = new Map<string, Dispatch>();
  readonly silent = new Map<string, Dispatch>();
  readonly workers: string[] = [];
  suspected = 0;
  readonly #random: () => number;
  #seq = 0;
  #names = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  pick(n: number): number {
    return Math.floor(this.#random() * n);
  }

  fate(work: Work, from: Fate[], to: Fate): void {
    const now = this.fates.get(work);
    assert.ok(now !== undefined && from.includes(now), `request ${work.item.seq} went from ${now} to ${to}`);
    this.fates.set(work, to);
  }

  push(): void {
    const message = new TestMessage(1 + this.pick(3));
    const items = Array.from({ length: 1 + this.pick(6) }, () => {
      this.#seq += 1;
      return item(this.#seq, { rows: 1 + this.pick(3), cost: 1 + this.pick(6), budgetMs: 5 + this.pick(400) });
    });
    const fields = { trafficClass: CLASSES[this.pick(3)] ?? 'bulk', gateway: `g${this.pick(2)}`, message };
    const { work } = this.bench.frame(items, { ...fields, version: String(1 + this.pick(2)) });
    for (const one of work) this.fates.set(one, 'waiting');
    this.messages.set(message, work);
  }

  join(): void {
    this.#names += 1;
    const name = `w${this.#names}`;
    this.workers.push(name);
    this.bench.worker(name, this.pick(3), { versions: ['1', '2'], maxBatchSize: 2 + this.pick(7), runMsFull: 20 });
  }

  leave(): void {
    const [name] = this.workers.splice(this.pick(this.workers.length), 1);
    if (name === undefined) return;
    const mine = [...this.running.values()].filter(({ slot }) => slot.worker === name);
    for (const { batchId } of mine) this.running.delete(batchId);
    this.#returned(mine, this.bench.dispatcher.lost(name));
  }

  /** Time passes as in the shell; batches of instances that are silent for too long are taken back. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.bench.clock.advance(Math.min(10, left));
      const { expired, withdrawn } = this.bench.dispatcher.tick(this.bench.clock.now());
      for (const work of expired) this.fate(work, ['waiting'], 'expired');
      this.suspected += withdrawn.requeued.length + withdrawn.abandoned.length;
      const batches = [...this.running.values()].filter(({ withdrawn: gone }) => gone);
      this.#returned(batches, withdrawn);
      for (const { batchId } of batches) {
        const batch = this.running.get(batchId);
        if (batch === undefined) continue;
        this.running.delete(batchId);
        this.silent.set(batchId, batch);
      }
    }
  }

  /** An instance that was silent speaks: what it has run does not run again if it waits. */
  wake(): void {
    const dispatch = [...this.silent.values()][this.pick(this.silent.size)];
    if (dispatch === undefined) return;
    this.silent.delete(dispatch.batchId);
    const { worker } = dispatch.slot;
    if (!this.workers.includes(worker)) return;
    const queues = this.bench.dispatcher.queues('m');
    const before = queues?.requests.rowsOf(0);
    assert.ok(this.bench.dispatcher.done(worker, doneOf(dispatch.batchId, { runMs: 100 })));
    for (const work of dispatch.work) if (this.fates.get(work) === 'waiting') this.fate(work, ['waiting'], 'ran');
    assert.ok((queues?.requests.rowsOf(0) ?? 0) <= (before ?? 0));
    this.bench.dispatcher.credits.grant(worker, 'm', 1);
  }

  dispatch(): void {
    for (;;) {
      const step = this.bench.dispatcher.next('m');
      for (const work of step.expired) this.fate(work, ['waiting'], 'expired');
      const { dispatch } = step;
      if (dispatch === undefined) return;
      const nowMs = this.bench.clock.now();
      for (const work of dispatch.work) {
        this.fate(work, ['waiting'], 'running');
        assert.ok(work.deadlineMs > nowMs, 'expired work was started');
        assert.equal(work.key, dispatch.work[0]?.key, 'two keys in one batch');
      }
      const rows = dispatch.work.reduce((sum, work) => sum + work.rows, 0);
      const cost = dispatch.work.reduce((sum, work) => sum + work.cost, 0);
      assert.equal(rows, dispatch.rows);
      if (dispatch.work.length > 1)
        assert.ok(rows <= dispatch.slot.maxRows && cost <= 12, `${rows} rows, cost ${cost}`);
      assert.equal(dispatch.instance.suspect, false, 'sent to a suspect');
      assert.ok(this.workers.includes(dispatch.slot.worker), 'sent to a worker that is gone');
      this.running.set(dispatch.batchId, dispatch);
    }
  }

  end(notStarted: boolean): void {
    const dispatch = [...this.running.values()][this.pick(this.running.size)];
    if (dispatch === undefined) return;
    this.running.delete(dispatch.batchId);
    const { worker } = dispatch.slot;
    const ended = this.bench.dispatcher.done(worker, doneOf(dispatch.batchId, { notStarted, runMs: this.pick(30) }));
    assert.ok(ended);
    if (notStarted) this.#returned([dispatch], ended);
    else for (const work of dispatch.work) this.fate(work, ['running'], 'ran');
    this.bench.dispatcher.credits.grant(worker, 'm', 1);
  }

  cancel(): void {
    const seqs = Array.from({ length: 4 }, () => 1 + this.pick(this.#seq));
    for (const work of this.bench.dispatcher.cancel(`g${this.pick(2)}`, seqs))
      this.fate(work, ['waiting'], 'cancelled');
  }

  handBack(which: 'all' | 'untouched'): void {
    const before = new Set([...this.messages.keys()].filter((message) => message.said.includes('nak')));
    handBack(this.bench.dispatcher, 'm', which);
    for (const [message, work] of this.messages) {
      if (!message.said.includes('nak') || before.has(message)) continue;
      for (const one of work) if (this.fates.get(one) === 'waiting') this.fates.set(one, 'handed back');
    }
  }

  step(): void {
    const roll = this.pick(100);
    if (roll < 35) this.push();
    else if (roll < 65) this.end(false);
    else if (roll < 70) this.end(true);
    else if (roll < 74) this.cancel();
    else if (roll < 76) this.handBack(this.pick(2) === 0 ? 'all' : 'untouched');
    else if (roll < 79 || this.workers.length === 0) this.join();
    else if (roll < 81) this.leave();
    else if (roll < 88) this.pass(this.pick(60));
    else if (roll < 91) this.wake();
    else for (const name of this.workers) this.bench.dispatcher.credits.grant(name, 'm', 1);
    this.dispatch();
  }

  #returned(batches: readonly Dispatch[], returned: { requeued: Work[]; expired: Work[]; abandoned: Work[] }): void {
    for (const work of returned.requeued) this.fate(work, ['running'], 'waiting');
    for (const work of returned.expired) this.fate(work, ['running'], 'expired');
    for (const work of returned.abandoned) this.fate(work, ['running'], 'abandoned');
    for (const work of batches.flatMap((batch) => batch.work)) {
      if (work.frame.handedBack && this.fates.get(work) === 'running') this.fate(work, ['running'], 'handed back');
    }
  }
}

test('whatever happens, every request has one end, no request runs twice without a loss, and every frame is given up once', () => {
  const ends = new Map<Fate, number>();
  let suspected = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const game = new Game(seed);
    for (let i = 0; i < 1_500; i += 1) game.step();
    game.join();
    while (game.running.size > 0) game.end(false);
    suspected += game.suspected;
    game.bench.clock.advance(1_000);
    game.bench.dispatcher.credits.grant(game.workers.at(-1) ?? '', 'm', 1);
    game.dispatch();
    for (const [work, fate] of game.fates) {
      assert.ok(fate !== 'waiting' && fate !== 'running', `seed ${seed}: request ${work.item.seq} is lost (${fate})`);
      ends.set(fate, (ends.get(fate) ?? 0) + 1);
    }
    for (const [message] of game.messages) {
      assert.equal(message.said.filter((word) => word === 'ack' || word === 'nak').length, 1, `seed ${seed}`);
      if (message.said.includes('nak')) assert.ok(message.deliveries < 3, 'the last delivery was handed back');
    }
    assert.equal(game.bench.dispatcher.frames.size, 0);
    assert.equal(game.bench.dispatcher.queues('m')?.requests.rowsOf(0), 0);
  }
  assert.ok(suspected > 0, 'no instance was ever suspect: the game does not test it');
  for (const fate of ['ran', 'expired', 'cancelled', 'abandoned', 'handed back'] as const) {
    assert.ok((ends.get(fate) ?? 0) > 0, `no request was ever ${fate}: the game does not test it`);
  }
});
