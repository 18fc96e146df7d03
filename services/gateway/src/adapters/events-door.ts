import { hash } from 'node:crypto';
import type { Bus } from '@spillway/bus/bus';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import { HEADERS } from '@spillway/contracts/headers';
import { EVENT_DELIVERIES, EVENTS_CONSUMER } from '@spillway/contracts/streams';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toJetstream } from '@spillway/errors/to-jetstream';
import { InFlight } from '@spillway/lifecycle/in-flight';
import { type OpenedEvent, openEvent } from '../core/event-envelope.ts';
import { checkOutputs, type EventRequest, expired, readEvent } from '../core/event-request.ts';
import type { Prepared } from '../core/pipeline.ts';
import { ticket } from '../core/receipt.ts';
import type { InferRequest } from '../core/request.ts';
import { readRequestId } from '../core/request-metadata.ts';
import { readTracestate } from '../core/tracestate.ts';
import type { EventsObserver } from '../telemetry.ts';
import type { DoorContext } from './door-context.ts';
import { type JobStream, jobStream, traceOf } from './job-stream.ts';

export type EventsDoorOptions = {
  bus: Bus;
  /** Compared with the time at which NATS stored an event: the one place where two clocks must agree. */
  epochMs: () => number;
  observer: EventsObserver;
};

/** Events this gateway works on at a time. Few are enough: what costs is waiting for JetStream and the look-ups. */
const MAX_HELD = 64;
/** A feature-service that is away must not keep the places of events that need none: after this the event is handed back. */
const MAX_PREPARE_MS = 5_000;
/** Until a refusal that could not be stored is tried again. */
const RETRY_MS = 1_000;
/** Before the server believes that this gateway has died with them. */
const STILL_WORKING_MS = EVENTS_CONSUMER.ackWaitMs / 3;
type Call = {
  opened: OpenedEvent;
  startMs: number;
  parent: string;
  traceparent: string;
  tracestate: string;
  requestId: string;
  /** SHA-256 (hex) of what was asked. */
  digest: string;
  request?: InferRequest;
};

/**
 * The durable door: events become jobs. An event is acknowledged after JetStream has its job, and terminated after its error
 * result and its dead letter are stored; until then every gateway's death leaves it where it was.
 */
export class EventsDoor {
  readonly #context: DoorContext;
  readonly #options: EventsDoorOptions;
  readonly #jobs: JobStream;
  readonly #source: PullSource;
  readonly #held = new Set<PulledMessage>();
  readonly #inFlight = new InFlight();
  readonly #stillWorking: NodeJS.Timeout;
  #open = true;

  constructor(context: DoorContext, options: EventsDoorOptions) {
    this.#context = context;
    this.#options = options;
    this.#jobs = jobStream({ bus: options.bus, clock: context.clock, epochMs: options.epochMs });
    const onMessage = (message: PulledMessage) => void this.#take(message);
    this.#source = new PullSource(options.bus, EVENTS_CONSUMER, onMessage, () => this.#ask());
    this.#source.start();
    this.#stillWorking = setInterval(() => {
      for (const message of this.#held) message.working();
    }, STILL_WORKING_MS);
  }

  /** Pulls nothing more, ends what is held, and hands back what is not ended in time. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#source.stop();
    await this.#inFlight.idle(timeoutMs);
    clearInterval(this.#stillWorking);
    for (const message of [...this.#held]) this.#settle(message, () => message.nak());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  /** One pull for many events: asks when half of the places are free. */
  #ask(): void {
    const free = MAX_HELD - this.#held.size - this.#source.outstanding;
    if (this.#open && free >= MAX_HELD / 2) this.#source.request(free);
  }

  async #take(message: PulledMessage): Promise<void> {
    this.#held.add(message);
    this.#inFlight.begin();
    try {
      await this.#serve(message);
    } finally {
      this.#inFlight.end();
      this.#ask();
    }
  }

  /** The last word about a message, unless it was spoken. */
  #settle(message: PulledMessage, word: () => void): boolean {
    const held = this.#held.delete(message);
    if (held) word();
    return held;
  }

  async #serve(message: PulledMessage): Promise<void> {
    const { clock, ids, maxBodyBytes, observer } = this.#context;
    const opened = openEvent(message, maxBodyBytes);
    const { parent, tracestate } = traceIn(message, opened);
    const requestId = readRequestId(message.header(HEADERS.requestId)) ?? ids.next();
    const traceparent = observer.begin(parent);
    const digest = hash('sha256', opened.cloudEvent?.data ?? message.payload, 'hex');
    const call: Call = { opened, startMs: clock.now(), parent, traceparent, tracestate, requestId, digest };
    try {
      const version = (await this.#isRepeated(call)) ? '' : await this.#keep(call, message);
      const accepted = this.#settle(message, () => message.ack());
      if (accepted) observer.end({ door: 'events', ...call, receipt: ticket(version) });
    } catch (thrown) {
      await this.#refuse(message, call, SpillwayError.from(thrown));
    }
  }

  /**
   * Its job was named before by the same request: nothing is to be done, but to tell the result to whom it was not told. A replay
   * is meant to run again. @throws SpillwayError `CONFLICT`: by another request.
   */
  async #isRepeated({ opened, digest }: Call): Promise<boolean> {
    const { job, isNamed, model } = opened;
    if (job === undefined || !isNamed || job.replay > 0) return false;
    const found = await this.#context.jobs.find(job, { digest, model });
    if (found !== undefined) await this.#jobs.tellAgain(job);
    return found !== undefined;
  }

  /** @returns The version of the model that the job will run. */
  async #keep(call: Call, message: PulledMessage): Promise<string> {
    const event = this.#read(message, call);
    call.request = event.request;
    const { jobQuota, clock } = this.#context;
    jobQuota.check(event.request, clock.now());
    const prepared = await this.#prepare(event);
    const giveBack = jobQuota.charge(event.request, prepared.item.cost, clock.now());
    try {
      if (!(await this.#publish(call, event, prepared))) giveBack();
    } catch (thrown) {
      giveBack();
      throw thrown;
    }
    return prepared.route.version;
  }

  #read(message: PulledMessage, call: Call): EventRequest {
    const { keys } = this.#context;
    const epochMs = this.#options.epochMs();
    const ageMs = Math.max(0, epochMs - message.storedAtMs);
    const publisherOf = (tenant: string) => keys.publisherOf(tenant);
    const rules = { publisherOf, maxPrepareMs: MAX_PREPARE_MS };
    return readEvent(message, call.opened, { ...call, epochMs, ageMs }, rules);
  }

  async #prepare(event: EventRequest): Promise<Prepared> {
    const { clock, catalogue, pipeline } = this.#context;
    const prepare = (): Promise<Prepared> => {
      const { promise, resolve, reject } = Promise.withResolvers<Prepared>();
      pipeline.prepare(event.request, { ready: resolve, failed: reject });
      return promise;
    };
    try {
      return await prepare().catch(async (thrown: unknown) => {
        if (SpillwayError.from(thrown).code !== 'MODEL_NOT_FOUND') throw thrown;
        await catalogue.refresh(event.request.model); // a gateway that has just started may not have heard of it yet
        return prepare();
      });
    } catch (thrown) {
      const error = SpillwayError.from(thrown);
      if (error.code !== 'DEADLINE_EXCEEDED' || clock.now() >= event.deadlineMs) throw error;
      throw new SpillwayError('UNAVAILABLE', 'the features of the job did not come in time', {
        reason: 'features',
        cause: error,
      });
    }
  }

  /** @returns Whether JetStream did not have the job before. */
  async #publish(call: Call, event: EventRequest, prepared: Prepared): Promise<boolean> {
    const { deadlineMs, outputs, request } = event;
    const { parent, traceparent, tracestate, opened, digest } = call;
    if (this.#context.clock.now() >= deadlineMs) throw expired();
    checkOutputs(outputs, prepared.model);
    if (opened.job === undefined) throw new Error('bug: a request was read from an event without a tenant');
    const { tenant, job, originSubject, ...origin } = opened.job;
    const address = { tenant, job };
    if (opened.isNamed && origin.replay === 0) {
      const order = { address, named: false, digest, request, prepared, outputs, deadlineMs, parent };
      return (await this.#context.jobs.take({ ...order, event: { origin, originSubject } })).isNew;
    }
    const { trafficClass } = request;
    const { duplicate } = await this.#jobs.publish({
      address,
      origin: { ...origin, outputs },
      originSubject,
      trafficClass,
      deadlineMs,
      parent,
      traceparent,
      tracestate,
      prepared,
    });
    return !duplicate;
  }

  /** By the table: later again, or stored as an error, copied, and only then terminated. */
  async #refuse(message: PulledMessage, call: Call, error: SpillwayError): Promise<void> {
    const isConflict = error.code === 'CONFLICT'; // the result of that name is another request's
    const action = toJetstream(error, message.deliveries, EVENT_DELIVERIES);
    if (action.kind === 'nak') {
      this.#delay(message, action.delayMs, error);
      return;
    }
    const { job, model } = call.opened;
    try {
      const address = job && { ...job, ...traceOf(call) };
      if (address !== undefined && isConflict) this.#jobs.tellError(address, error, call.requestId, model);
      else if (address !== undefined) await this.#jobs.storeError(address, error, call.requestId, model);
      await this.#jobs.bury(message, job?.job, error);
      if (this.#settle(message, () => message.term())) this.#context.observer.end({ door: 'events', ...call, error });
    } catch (thrown) {
      this.#delay(message, RETRY_MS, SpillwayError.from(thrown)); // it is refused again when that can be kept
    }
  }

  #delay(message: PulledMessage, delayMs: number, error: SpillwayError): void {
    if (this.#settle(message, () => message.nak(delayMs))) this.#options.observer.delayed(error);
  }
}

/** Both from the headers or both from the attributes of the event: a list belongs to the span that it came with. */
function traceIn(message: PulledMessage, { cloudEvent }: OpenedEvent): { parent: string; tracestate: string } {
  const parent = message.header(HEADERS.traceparent);
  if (parent !== undefined) return { parent, tracestate: readTracestate(message.header(HEADERS.tracestate)) };
  return { parent: cloudEvent?.traceparent ?? '', tracestate: readTracestate(cloudEvent?.tracestate) };
}
