import { CLASSES } from '@spillway/contracts/classes';
import { MAX_FRAMES_PER_MODEL } from '@spillway/contracts/streams';
import { type Attempt, fail, type RunFacts, type Service } from './attempt.ts';
import { BatcherNode } from './batcher-node.ts';
import { GatewayNode } from './gateway-node.ts';
import { Jobs } from './jobs.ts';
import { LoadBus } from './load-bus.ts';
import type { World } from './spec.ts';
import { WorkStream } from './work-stream.ts';
import { WorkerNode } from './worker-node.ts';

const LEVEL_SAMPLE_MS = 50;

/** The product's chain: gateways, streams, batchers, workers, and the state they tell each other. */
export class Mesh implements Service {
  readonly facts: RunFacts;
  readonly gateways: GatewayNode[];
  readonly batchers: BatcherNode[];
  readonly workers: WorkerNode[];
  readonly streams: WorkStream[];
  readonly jobs: Jobs;
  readonly #world: World;

  constructor(world: World, facts: RunFacts) {
    const { sim, spec } = world;
    this.#world = world;
    this.facts = facts;
    this.streams = spec.models.flatMap(({ name }) =>
      CLASSES.map((trafficClass) => new WorkStream(world, name, trafficClass, MAX_FRAMES_PER_MODEL)),
    );
    const jobStreams = spec.models.flatMap(({ name }) =>
      CLASSES.map((trafficClass) => new WorkStream(world, name, trafficClass, Number.POSITIVE_INFINITY, true)),
    );
    this.jobs = new Jobs(world, jobStreams);
    const bySubject = new Map(this.streams.map((stream) => [`${stream.trafficClass} ${stream.model}`, stream]));
    this.gateways = Array.from(
      { length: spec.gateways },
      (_, n) => new GatewayNode(world, `g${n}`, bySubject, this.jobs),
    );
    this.batchers = Array.from(
      { length: spec.batchers },
      (_, n) => new BatcherNode(world, `b${n}`, [...this.streams, ...jobStreams]),
    );
    this.workers = Array.from({ length: spec.instances }, (_, n) => new WorkerNode(world, facts, n));
    for (const worker of this.workers) worker.dial(this.#homeOf(worker));
    this.#connect();
    sim.every(LEVEL_SAMPLE_MS, LEVEL_SAMPLE_MS, () => {
      facts.onLevel(Math.max(...this.gateways.map(({ admission }) => admission.effects.level)));
      return undefined;
    });
  }

  submit(attempt: Attempt, gateway: number): void {
    const { length } = this.gateways;
    for (let tried = 0; tried < length; tried += 1) {
      const node = this.gateways[(gateway + tried) % length] as GatewayNode;
      if (!node.alive) continue; // a balancer sees a closed port at once
      node.submit(attempt);
      return;
    }
    fail(attempt, 'connection');
  }

  /** The batcher's process ends; its workers find another when its stream closes. */
  killBatcher(index: number): void {
    const dead = this.batchers[index] as BatcherNode;
    dead.kill();
    for (const worker of this.workers) {
      if (worker.home !== dead) continue;
      this.#world.sim.after(this.#world.spec.hopMs, () => worker.homeLost(this.#homeOf(worker)), undefined);
    }
  }

  restartBatcher(index: number): void {
    (this.batchers[index] as BatcherNode).restart();
    for (const worker of this.workers)
      if (worker.index % this.batchers.length === index) worker.move(this.#homeOf(worker));
  }

  killWorker(index: number): void {
    (this.workers[index] as WorkerNode).kill();
  }

  killGateway(index: number): void {
    (this.gateways[index] as GatewayNode).kill();
  }

  restartWorker(index: number): void {
    const worker = this.workers[index] as WorkerNode;
    worker.restart(this.#homeOf(worker));
  }

  /** Its own by number, else the next that lives. */
  #homeOf({ index }: WorkerNode): BatcherNode {
    const { length } = this.batchers;
    for (let tried = 0; tried < length; tried += 1) {
      const batcher = this.batchers[(index + tried) % length] as BatcherNode;
      if (batcher.alive) return batcher;
    }
    return this.batchers[0] as BatcherNode;
  }

  #connect(): void {
    const bus = new LoadBus(this.#world);
    for (const gateway of this.gateways) {
      bus.source({
        name: gateway.name,
        epoch: () => gateway.epoch,
        level: (model) => gateway.admission.levelOf(model),
        models: () => gateway.admission.models(),
        load: (model) => {
          const load = gateway.load(model);
          return load === undefined ? undefined : { gateway: load };
        },
      });
    }
    for (const batcher of this.batchers) {
      bus.source({
        name: batcher.name,
        epoch: () => batcher.epoch,
        level: () => 0,
        models: () => this.#world.spec.models.map(({ name }) => name),
        load: (model) => {
          const load = batcher.load(model);
          return load === undefined ? undefined : { batcher: load };
        },
      });
    }
    bus.listen((model, state, transitMs) => {
      for (const gateway of this.gateways) gateway.onLoad(model, state, transitMs);
      for (const batcher of this.batchers) batcher.onLoad(model, state);
    });
  }
}
