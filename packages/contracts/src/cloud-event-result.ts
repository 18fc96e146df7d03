import type { EventContext } from './messages.ts';

/** What a result says as a CloudEvent; `id` is the job, `madeAtMs` since the epoch, `trace` what its next hop hangs its spans below. */
export type ResultEvent = {
  id: string;
  model: string;
  type: 'completed' | 'failed';
  madeAtMs: number;
  trace: Record<string, string>;
};
export type EncodedEvent = { payload: Uint8Array; headers: Record<string, string> };

/** Attribute values of printable ASCII stay; space, `"`, `%` and all else become `%XY` for each UTF-8 byte. */
export function encodeAttribute(value: string): string {
  let text = '';
  for (const byte of Buffer.from(value)) {
    const stays = byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x25;
    text += stays ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** @param json The result itself. The mode is the one of the event that asked for it. */
export function encodeResultEvent(context: EventContext, result: ResultEvent, json: Uint8Array): EncodedEvent {
  const attributes: Record<string, string> = {
    specversion: '1.0',
    id: result.id,
    source: result.model === '' ? '/spillway' : `/spillway/${result.model}`,
    type: `spillway.infer.${result.type}.v1`,
    time: new Date(result.madeAtMs).toISOString(),
    datacontenttype: 'application/json',
  };
  if (context.id !== '') attributes['causationid'] = context.id;
  if (context.correlationId !== '') attributes['correlationid'] = context.correlationId;
  Object.assign(attributes, result.trace); // the extension for distributed tracing has the names of the headers
  if (context.mode === 'structured') {
    const head = JSON.stringify(attributes).slice(0, -1);
    const payload = Buffer.concat([Buffer.from(`${head},"data":`), json, Buffer.from('}')]);
    return { payload, headers: { 'Content-Type': 'application/cloudevents+json' } };
  }
  const headers = Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encodeAttribute(value)]);
  return { payload: json, headers: Object.fromEntries(headers) };
}
