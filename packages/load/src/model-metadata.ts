import type { TensorSpec } from './inputs.ts';
import { TargetError } from './load-error.ts';

const TIMEOUT_MS = 10_000;

/** The inputs of a model, from a server of the Open Inference Protocol. @throws TargetError with what the server said. */
export async function fetchInputs(url: URL, model: string, headers: Record<string, string>): Promise<TensorSpec[]> {
  const address = new URL(`/v2/models/${encodeURIComponent(model)}`, url);
  const response = await fetch(address, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((cause: Error) => {
    throw new TargetError(
      `${address.origin} does not answer: ${(cause.cause as Error | undefined)?.message ?? cause.message}`,
    );
  });
  const text = await response.text();
  if (response.status !== 200) throw new TargetError(`${address}: ${response.status} ${text.slice(0, 200)}`);
  const { inputs } = JSON.parse(text) as { inputs?: TensorSpec[] };
  if (Array.isArray(inputs) && inputs.length > 0) return inputs;
  throw new TargetError(`${address}: expected the model's inputs, got ${text.slice(0, 200)}`);
}
