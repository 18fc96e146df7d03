import { z } from 'zod';

/** The part of JSON Schema that says what one member of a file may be. */
type Node = {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  items?: Node | boolean;
};

/** What a schema expects at each path, in words: `integer ≥ 0`. zod's own messages stop at the first broken rule. */
export class Expectations {
  readonly #root: Node;

  constructor(schema: z.ZodType) {
    this.#root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Node;
  }

  /** Undefined where the schema cannot say it in a few words: unions of mappings, own checks. */
  at(path: readonly PropertyKey[]): string | undefined {
    const node = this.#node(path);
    return node === undefined ? undefined : describe(node);
  }

  /** Names that a mapping may have at this path. */
  members(path: readonly PropertyKey[]): string[] {
    return Object.keys(this.#node(path)?.properties ?? {});
  }

  #node(path: readonly PropertyKey[]): Node | undefined {
    let node: Node | boolean | undefined = this.#root;
    for (const step of path) {
      if (typeof node !== 'object') return undefined;
      const own: Node | undefined = typeof step === 'string' ? node.properties?.[step] : undefined;
      node = typeof step === 'number' ? node.items : (own ?? node.additionalProperties);
    }
    return typeof node === 'object' ? node : undefined;
  }
}

const WORDS: Record<string, string> = { object: 'mapping', array: 'list', string: 'text', boolean: 'true or false' };

function describe(node: Node): string | undefined {
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum !== undefined) return `one of ${node.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  const types = [node.type ?? []].flat();
  if (types.length === 0) return undefined;
  const words = types.map((type) => WORDS[type] ?? type).join(' or ');
  return [words, ...bounds(node)].join(' ');
}

/** `z.int()` is bounded by what a double can hold; nobody needs to read that. */
const isTold = (bound: number | undefined): bound is number =>
  bound !== undefined && Number.isSafeInteger(bound + Math.sign(bound));

function bounds(node: Node): string[] {
  const told: string[] = [];
  if (isTold(node.minimum)) told.push(`≥ ${node.minimum}`);
  if (node.exclusiveMinimum !== undefined) told.push(`> ${node.exclusiveMinimum}`);
  if (isTold(node.maximum)) told.push(`≤ ${node.maximum}`);
  if (node.exclusiveMaximum !== undefined) told.push(`< ${node.exclusiveMaximum}`);
  if (node.minLength !== undefined) told.push(`of ≥ ${node.minLength} characters`);
  if (node.maxLength !== undefined) told.push(`of ≤ ${node.maxLength} characters`);
  if (node.minItems !== undefined) told.push(`of ≥ ${node.minItems} items`);
  if (node.maxItems !== undefined) told.push(`of ≤ ${node.maxItems} items`);
  if (node.pattern !== undefined) told.push(`like ${node.pattern}`);
  return told;
}
