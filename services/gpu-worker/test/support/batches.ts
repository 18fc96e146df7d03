import {
  type Batch,
  type BatchItem,
  batcherMessageCodec,
  type ReplyFrame,
  type ReplyItem,
  tensorsCodec,
} from '@spillway/contracts/messages';
import { encode, type TestTensor } from './tensors.ts';

let batches = 0;

/** A batch with one request for each entry of `requests`. */
export function makeBatch(model: string, requests: readonly TestTensor[][], over: Partial<Batch> = {}): Batch {
  batches += 1;
  const items = requests.map(
    (tensors, index): BatchItem => ({
      seq: index + 1,
      requestId: `request-${batches}-${index + 1}`,
      replyTo: 0,
      rows: 1,
      budgetMs: 30_000,
      queueMs: 1.5,
      traceparent: '',
      tensors: encode(...tensors),
      tenant: 'anonymous',
    }),
  );
  return {
    batchId: `batch-${batches}`,
    model,
    version: '1',
    variant: '',
    closedBy: 'idle',
    rows: items.length,
    replyTo: ['inbox'],
    items,
    traceparent: '',
    trafficClass: 'standard',
    ...over,
  };
}

/** As it comes from a batcher. */
export const messageOf = (batch: Batch): Uint8Array => batcherMessageCodec.encode({ batch });

/** Bytes of one output of an answer, in memory of their own. */
export function outputOf(item: ReplyItem | undefined, name: string): Uint8Array {
  const tensor = item && tensorsCodec.decode(item.tensors).tensors.find((candidate) => candidate.name === name);
  if (!tensor) throw new Error(`no output ${name}: ${item?.errorCode ?? 'no answer'} ${item?.errorMessage ?? ''}`);
  return Uint8Array.from(tensor.data);
}

export const fp32Of = (item: ReplyItem | undefined, name: string): Float32Array =>
  new Float32Array(outputOf(item, name).buffer as ArrayBuffer);

export const itemsOf = (frames: readonly ReplyFrame[]): ReplyItem[] =>
  frames.flatMap((frame) => frame.items).sort((a, b) => a.seq - b.seq);
