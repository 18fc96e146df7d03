import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type { DataTypeName, NumericArray } from '@spillway/contracts/tensor';
import { yieldBackgroundThreads } from '@spillway/lifecycle/background-threads';
import type * as Ort from 'onnxruntime-node';
import type { Backend, RunTensor } from '../core/backend.ts';
import {
  type BatchResult,
  batchResultCodec,
  loadedModelCodec,
  loadModelCodec,
  type RunBatch,
  runMessageCodec,
} from '../core/executor-messages.ts';
import { messageOf } from '../core/message-of.ts';
import { FRAME, type FrameKind, FrameReader, frameHeader } from '../core/pipe-frames.ts';
import type { GraphTensor, ServedGraph } from '../core/served-graph.ts';
import { ExecutorSession } from './executor-session.ts';
import { hostNowMs } from './host-clock.ts';
import type { OpenedGraph, OpenOptions } from './open-model.ts';

/**
 * The process of one executor: `node executor-main.ts` with a duplex pipe as file descriptor 3. The only importer of
 * onnxruntime-node, whose `run` blocks the thread it is called from and cannot be ended: this process can. It ends when the
 * pipe does, so it never outlives the worker by more than the run it is in.
 */
const PIPE = 3;

/** The runtime's names of types, by the protocol's. */
const TYPES = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Partial<Record<DataTypeName, Ort.Tensor.Type>>;

const DATATYPES = new Map(Object.entries(TYPES).map(([datatype, type]) => [type as string, datatype as DataTypeName]));

/** Loaded when the first model needs it: an executor of simulated models does without its 40 MB. */
let runtime: typeof Ort | undefined;

function onnxRuntime(): typeof Ort {
  if (runtime === undefined) {
    // The binding cannot read a Float16Array ("not enough space: expected 4, got 0"), which onnxruntime-common prefers where
    // the host has one, as Node 24 does. Without the global it keeps FP16 as Uint16Array, as we do.
    Reflect.deleteProperty(globalThis, 'Float16Array');
    runtime = createRequire(import.meta.url)('onnxruntime-node') as typeof Ort;
    runtime.env.logLevel = 'error';
  }
  return runtime;
}

/** The first provider that starts serves. @throws Error with what each of them said. */
async function openGraph(model: Uint8Array, { providers, intraOpThreads }: OpenOptions): Promise<OpenedGraph> {
  const refused: string[] = [];
  for (const provider of providers) {
    try {
      const session = await onnxRuntime().InferenceSession.create(model, {
        executionProviders: [provider],
        executionMode: 'sequential',
        intraOpNumThreads: intraOpThreads,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        extra: { session: { intra_op: { allow_spinning: '0' } } }, // spinning burns 39 ms of CPU after each run
      });
      const graph = {
        inputs: session.inputMetadata.map(toGraphTensor),
        outputs: session.outputMetadata.map(toGraphTensor),
      };
      return {
        graph,
        provider,
        fallback: refused.join('; '),
        backend: (served) => onnxBackend(session, provider, served),
      };
    } catch (thrown) {
      refused.push(`provider ${provider}: ${messageOf(thrown)}`);
    }
  }
  throw new Error(refused.join('; '));
}

/** @throws Error on a value that is no tensor of a served type. */
function toGraphTensor(value: Ort.InferenceSession.ValueMetadata): GraphTensor {
  const datatype = value.isTensor ? DATATYPES.get(value.type) : undefined;
  if (!value.isTensor || datatype === undefined) {
    throw new Error(
      `"${value.name}": expected a tensor of a type of the Open Inference Protocol, got ${value.isTensor ? value.type : 'no tensor'}`,
    );
  }
  return { name: value.name, datatype, dims: value.shape.map((dim) => (typeof dim === 'number' ? dim : -1)) };
}

function onnxBackend(session: Ort.InferenceSession, provider: string, { fetches }: ServedGraph): Backend {
  const { Tensor } = onnxRuntime();
  const names = fetches.map((fetch) => fetch.name);
  const run = async (inputs: readonly RunTensor[]): Promise<RunTensor[]> => {
    const feeds: Record<string, Ort.Tensor> = {};
    for (const { name, datatype, shape, data } of inputs) {
      feeds[name] = new Tensor(TYPES[datatype as keyof typeof TYPES], data as never, shape);
    }
    const outputs = await session.run(feeds, names);
    return fetches.map(({ name, datatype }) => {
      const output = outputs[name] as Ort.Tensor;
      return { name, datatype, shape: [...output.dims], data: output.data as unknown as NumericArray | string[] };
    });
  };
  return { provider, run, release: () => session.release() };
}

type Waiting = { kind: number; payload: Uint8Array; stampMs: number };

const pipe = new Socket({ fd: PIPE, readable: true, writable: true });
const session = new ExecutorSession(openGraph);
const waiting: Waiting[] = [];
let working = false;

/** Resolves when the frame has left: the next run blocks this thread, and would hold it back. */
function write(kind: FrameKind, payload: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    pipe.cork();
    pipe.write(frameHeader(kind, payload.length));
    pipe.write(payload, () => resolve());
    pipe.uncork();
  });
}

const UNREADABLE: BatchResult = {
  batchId: '',
  runMs: 0,
  runs: 0,
  failed: 0,
  replies: [],
  jobs: [],
  fault: 'unreadable batch',
};

function readBatch(message: Uint8Array): RunBatch | undefined {
  try {
    return runMessageCodec.decode(message).batch ?? undefined;
  } catch {
    return undefined;
  }
}

async function handle({ kind, payload, stampMs }: Waiting): Promise<void> {
  if (kind === FRAME.load) {
    await write(FRAME.loaded, loadedModelCodec.encode(await session.load(loadModelCodec.decode(payload))));
  } else if (kind === FRAME.release) {
    await session.release(loadModelCodec.decode(payload));
  } else if (kind === FRAME.run) {
    const batch = readBatch(payload);
    const result = batch === undefined ? UNREADABLE : await session.run(batch, hostNowMs() - stampMs);
    await write(FRAME.done, batchResultCodec.encode(result));
  }
}

async function work(): Promise<void> {
  if (working) return;
  working = true;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await handle(next);
  working = false;
}

yieldBackgroundThreads();
const reader = new FrameReader((kind, payload, stampMs) => waiting.push({ kind, payload, stampMs }));
pipe.on('data', (chunk: Buffer) => {
  reader.push(chunk);
  void work();
});
pipe.on('close', () => process.exit(0));
pipe.on('error', () => process.exit(0));
