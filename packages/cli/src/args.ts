import { type ParseArgsConfig, parseArgs } from 'node:util';
import { usageError } from './context.ts';
import { type Scale, SERVICES, type ServiceName } from './ports.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * `node:util`'s parseArgs with the user's errors as ours.
 * @param words Names, as the help has them, of the words that must and may stand beside the options.
 * @throws CliError (exit code 2) naming the argument and the command's help.
 */
export function parseCommand<const T extends Options>(
  command: string,
  argv: string[],
  options: T,
  words: { required?: string[]; optional?: string[] } = {},
) {
  const parsed = parse(command, argv, options);
  const { required = [], optional = [] } = words;
  const missing = required[parsed.positionals.length];
  if (missing !== undefined) throw usageError(`${command}: expected ${missing}`, command);
  const extra = parsed.positionals[required.length + optional.length];
  if (extra !== undefined) throw usageError(`${command}: "${extra}" is one word too many`, command);
  return parsed;
}

function parse<const T extends Options>(command: string, argv: string[], options: T) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true, strict: true });
  } catch (error) {
    const [message = 'wrong arguments'] = (error as Error).message.split('. ');
    throw usageError(`${command}: ${message}`, command);
  }
}

export function integerOption(
  command: string,
  name: string,
  text: string | undefined,
  range: { min: number; max: number; fallback: number },
): number {
  if (text === undefined) return range.fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw usageError(`--${name}: expected a number from ${range.min} to ${range.max}, got "${text}"`, command);
}

export function choiceOption<const V extends string>(
  command: string,
  name: string,
  text: string,
  values: readonly V[],
): V {
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return value;
  throw usageError(`--${name}: expected one of ${values.join(', ')}, got "${text}"`, command);
}

/** Most instances that the port plan has room for. */
export const MOST_INSTANCES: Record<ServiceName, number> = {
  gateway: 3,
  cache: 5,
  'feature-service': 5,
  batcher: 5,
  'gpu-worker': 5,
};

/** Reads `gateway=2,batcher=3`; what is not named runs once. May be given more than once. */
export function scaleOption(command: string, texts: readonly string[]): Scale {
  const scale: Scale = { gateway: 1, cache: 1, 'feature-service': 1, batcher: 1, 'gpu-worker': 1 };
  for (const part of texts.flatMap((text) => text.split(','))) {
    const [name = '', count = ''] = part.split('=', 2);
    if (!isService(name)) {
      throw usageError(`--scale: expected one of ${SERVICES.join(', ')}, got "${name}"`, command);
    }
    scale[name] = integerOption(command, `scale ${name}`, count, { min: 1, max: MOST_INSTANCES[name], fallback: 1 });
  }
  return scale;
}

const isService = (name: string): name is ServiceName => (SERVICES as readonly string[]).includes(name);
