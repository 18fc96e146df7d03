import { isWrongJson, jsonWriter } from './infer-json.ts';
import { isWrongMessage, messageWriter } from './infer-message.ts';
import type { TensorSource } from './inputs.ts';

/** Requests of one kind in every form, by number, and what is wrong with an answer. */
export type Payload = {
  json(n: number): string;
  message(n: number): Buffer;
  isWrongJson(body: string, n: number): boolean;
  isWrongMessage(raw: readonly Buffer[], n: number): boolean;
};

/** @param echoes The model answers what it was given: output by output, in the order of the inputs. */
export function makePayload(model: string, sources: readonly TensorSource[], echoes: boolean): Payload {
  return {
    json: jsonWriter(sources),
    message: messageWriter(model, sources),
    isWrongJson: (body, n) => echoes && isWrongJson(body, sources, n),
    isWrongMessage: (raw, n) => echoes && isWrongMessage(raw, sources, n),
  };
}
