import type { Fault } from '@spillway/config/config-error';
import { NAME_PATTERN } from '@spillway/contracts/names';
import { z } from 'zod';
import type { Degrade, VariantDeclaration } from '../core/model-declaration.ts';
import { preprocess } from './text-yaml.ts';

/* What model.yaml says of the lighter forms of a model and when they may stand in for it. */

export const name = z.string().regex(NAME_PATTERN, 'expected 1 to 64 letters, digits, "_" or "-"');
export const parameters = z.record(z.string().max(128), z.union([z.string(), z.number(), z.boolean()])).default({});
const quality = z.number().min(0).max(1);

/** Members of model.yaml. */
export const variantMembers = {
  quality: quality.optional(),
  variants: z
    .array(z.strictObject({ name, quality: quality.optional(), preprocess: preprocess.optional(), parameters }))
    .max(16)
    .default([]),
  degrade: z
    .strictObject({
      to: z.array(name).min(1).max(16),
      quality_floor: quality.default(0),
      opt_out: z.boolean().default(true),
    })
    .optional(),
};

const variantsYaml = z.object(variantMembers);
export type VariantsYaml = z.infer<typeof variantsYaml>;

export function variantFaults({ variants, degrade }: VariantsYaml): Fault[] {
  const faults: Fault[] = [];
  const fault = (subject: string, text: string) => faults.push({ subject, text });
  const names = variants.map((variant) => variant.name);
  for (const [index, own] of names.entries()) {
    if (names.indexOf(own) < index) fault(`variants[${index}].name`, `expected a name of its own, got "${own}" again`);
  }
  const { to = [], quality_floor: floor = 0 } = degrade ?? {};
  for (const [index, target] of to.entries()) {
    const subject = `degrade.to[${index}]`;
    const declared = variants.find((variant) => variant.name === target);
    if (declared === undefined) fault(subject, `expected one of the variants ${listed(names)}, got "${target}"`);
    else if (to.indexOf(target) < index) fault(subject, `expected each variant once, got "${target}" again`);
    else if (floor > 0 && declared.quality === undefined) {
      fault(subject, `expected a variant with a quality, as quality_floor is ${floor}, got "${target}" without one`);
    }
  }
  return faults;
}

const listed = (names: readonly string[]): string =>
  names.length === 0 ? '(none)' : names.map((own) => `"${own}"`).join(', ');

/** @param yaml Without faults. */
export function toVariants({ quality: own, variants, degrade }: VariantsYaml): {
  quality?: number;
  variants: VariantDeclaration[];
  degrade?: Degrade;
} {
  return {
    ...(own !== undefined && { quality: own }),
    variants: variants.map((variant) => ({
      name: variant.name,
      ...(variant.quality !== undefined && { quality: variant.quality }),
      ...(variant.preprocess && { preprocess: variant.preprocess }),
      parameters: variant.parameters,
    })),
    ...(degrade && { degrade: { to: degrade.to, qualityFloor: degrade.quality_floor, optOut: degrade.opt_out } }),
  };
}
