import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { text as textOf } from 'node:stream/consumers';
import type { TensorSpec } from './inputs.ts';
import { TargetError } from './load-error.ts';
import type { TlsTexts } from './tls-texts.ts';

const TIMEOUT_MS = 10_000;

export type MetadataCall = { url: URL; tls: TlsTexts; headers: Record<string, string> };

/** The inputs of a model, from a server of the Open Inference Protocol. @throws TargetError with what the server said. */
export async function fetchInputs(model: string, call: MetadataCall): Promise<TensorSpec[]> {
  const address = new URL(`/v2/models/${encodeURIComponent(model)}`, call.url);
  const { status, text } = await get(address, call).catch((cause: NodeJS.ErrnoException) => {
    throw new TargetError(`${address.origin} does not answer: ${cause.message || cause.code}`, { cause });
  });
  if (status !== 200) throw new TargetError(`${address}: ${status} ${text.slice(0, 200)}`);
  const { inputs } = JSON.parse(text) as { inputs?: TensorSpec[] };
  if (Array.isArray(inputs) && inputs.length > 0) return inputs;
  throw new TargetError(`${address}: expected the model's inputs, got ${text.slice(0, 200)}`);
}

function get(address: URL, { tls, headers }: MetadataCall): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { headers, signal: AbortSignal.timeout(TIMEOUT_MS), agent: false } as const;
    const secure = address.protocol === 'https:';
    const asking = secure ? overHttps(address, { ...options, ...tls }) : overHttp(address, options);
    asking.on('error', reject);
    asking.on('response', (answer) => {
      textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), reject);
    });
    asking.end();
  });
}
