import { readYamlFile } from '@spillway/config/yaml-file';
import { CLASSES } from '@spillway/contracts/classes';
import { z } from 'zod';
import { type Choice, type Kind, PROTOCOLS } from './kind.ts';
import { type MixDefaults, readCancel, readRetry } from './mix-text.ts';
import type { InputChoice } from './open-transports.ts';

const name = z.string().min(1).max(64);
const parts = z.number().min(0).max(1e9);
const deadline = z.number().min(1).max(86_400_000);

const kindSchema = z.strictObject({
  name: name.optional(),
  class: z.enum(CLASSES).optional(),
  weight: parts.default(1),
  phase_weights: z.record(z.string(), parts).default({}),
  model: name.optional(),
  protocol: z.enum(PROTOCOLS).optional(),
  key: z.string().min(1).optional(),
  tenant: name.optional(),
  deadline_ms: z
    .union([deadline, z.array(z.strictObject({ value: deadline, weight: parts })).min(1), z.array(deadline).min(1)])
    .default(1_000),
  rows: z.number().int().min(1).max(4_096).default(1),
  accept: z.array(z.string()).optional(),
  retry: z.string().default('none'),
  cancel: z.string().optional(),
  headers: z.record(z.string(), z.string()).default({}),
});

const schema = z.strictObject({
  kinds: z.array(kindSchema).min(1),
  columns: z.number().int().min(1).max(65_536).optional(),
  texts: z.array(z.string()).min(1).optional(),
  tensors: z
    .record(
      z.string(),
      z.array(z.strictObject({ name, datatype: z.string(), shape: z.array(z.number().int()) })).min(1),
    )
    .optional(),
  echoes: z.array(name).optional(),
});

export type MixFile = { kinds: Kind[]; inputs: InputChoice };

type KindText = z.output<typeof kindSchema>;

/**
 * Reads a mix from YAML or JSON.
 * @param keys Keys of kinds by name, in place of the file's: a file that is committed has none.
 * @throws ConfigError naming every fault; Error naming the kind.
 */
export function readMixFile(path: string, defaults: MixDefaults, keys: ReadonlyMap<string, string>): MixFile {
  const { kinds, columns, texts, tensors, echoes } = readYamlFile(path, schema);
  return {
    kinds: kinds.map((kind) => toKind(kind, defaults, keys)),
    inputs: {
      ...(columns !== undefined && { columns }),
      ...(texts !== undefined && { texts }),
      ...(tensors !== undefined && { tensors }),
      ...(echoes !== undefined && { echoes }),
    },
  };
}

function toKind(text: KindText, defaults: MixDefaults, keys: ReadonlyMap<string, string>): Kind {
  const model = text.model ?? defaults.model;
  const kindName = text.name ?? text.class ?? model;
  return {
    name: kindName,
    weight: text.weight,
    phaseWeights: text.phase_weights,
    model,
    protocol: text.protocol ?? defaults.protocol,
    tenant: text.tenant ?? defaults.tenant,
    trafficClass: text.class,
    key: keys.get(kindName) ?? keys.get('') ?? text.key,
    deadlineMs: choiceOf(text.deadline_ms),
    rows: text.rows,
    accept: text.accept?.join(', '),
    retry: readRetry(text.retry),
    cancel: text.cancel === undefined ? undefined : readCancel(text.cancel),
    headers: text.headers,
  };
}

const choiceOf = (deadlines: KindText['deadline_ms']): Choice<number> =>
  (Array.isArray(deadlines) ? deadlines : [deadlines]).map((one) =>
    typeof one === 'number' ? { value: one, weight: 1 } : one,
  );
