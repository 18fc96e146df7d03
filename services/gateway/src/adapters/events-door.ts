import type { Bus } from '@spillway/bus/bus';
import { type PulledMessage, PullSource } from '@spillway/bus/pull';
import { HEADERS } from '@spillway/contracts/headers';
import { EVENT_DELIVERIES, EVENTS_CONSUMER } from '@spillway/contracts/streams';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { toJetstream } from '@spillway/errors/to-jetstream';
import { InFlight } from '@spillway/lifecycle/in-flight';
import { type OpenedEvent, openEvent } from '../core/event-envelope.ts';
import { EventQuotas } from '../core/event-quotas.ts';
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
  readonly #quotas: EventQuotas;
  readonly #source: PullSource;
  readonly #held = new Set<PulledMessage>();
  readonly #inFlight = new InFlight();
  readonly #stillWorking: NodeJS.Timeout;
  #open = true;

  constructor(context: DoorContext, options: EventsDoorOptions) {
    this.#context = context;
    this.#options = options;
    this.#jobs = jobStream({ bus: options.bus, clock: context.clock, epochMs: options.epochMs });
    this.#quotas = new EventQuotas(context.admission, Math.random);
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
    const call: Call = { opened, startMs: clock.now(), parent, traceparent, tracestate, requestId };
    try {
      const event = this.#read(message, call);
      call.request = event.request;
      this.#quotas.check(event.request, clock.now());
      const prepared = await this.#prepare(event);
      const charged = { request: event.request, model: prepared.model.model, cost: prepared.item.cost };
      const giveBack = this.#quotas.charge(charged, clock.now());
      await this.#publish(call, event, prepared).catch((thrown: unknown) => {
        giveBack();
        throw thrown;
      });
      const accepted = this.#settle(message, () => message.ack());
      if (accepted) observer.end({ door: 'events', ...call, receipt: ticket(prepared.route.version) });
    } catch (thrown) {
      await this.#refuse(message, call, SpillwayError.from(thrown));
    }
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

  async #publish(call: Call, event: EventRequest, prepared: Prepared): Promise<void> {
    const { deadlineMs, outputs, request } = event;
    const { parent, traceparent, tracestate, opened } = call;
    if (this.#context.clock.now() >= deadlineMs) throw expired();
    checkOutputs(outputs, prepared.model);
    if (opened.job === undefined) throw new Error('bug: a request was read from an event without a tenant');
    const { tenant, job, originSubject, ...origin } = opened.job;
    await this.#jobs.publish({
      address: { tenant, job },
      origin: { ...origin, outputs },
      originSubject,
      trafficClass: request.trafficClass,
      deadlineMs,
      parent,
      traceparent,
      tracestate,
      prepared,
    });
  }

  /** By the table: later again, or stored as an error, copied, and only then terminated. */
  async #refuse(message: PulledMessage, call: Call, error: SpillwayError): Promise<void> {
    const action = toJetstream(error, message.deliveries, EVENT_DELIVERIES);
    if (action.kind === 'nak') {
      this.#delay(message, action.delayMs, error);
      return;
    }
    const { job, model } = call.opened;
    try {
      if (job !== undefined) await this.#jobs.storeError({ ...job, ...traceOf(call) }, error, call.requestId, model);
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
