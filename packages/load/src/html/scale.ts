/** Values to pixels, with the values at which lines are drawn. */
export type Scale = { (value: number): number; ticks: readonly number[] };

/** @param to Pixels of the lowest and the highest value. */
export function linearScale(max: number, to: readonly [number, number], wanted = 4): Scale {
  const step = niceStep(max / wanted);
  const top = Math.max(step, Math.ceil(max / step - 1e-9) * step);
  const scale = (value: number): number => to[0] + (Math.min(value, top) / top) * (to[1] - to[0]);
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, n) => n * step);
  return Object.assign(scale, { ticks });
}

/** Pixels are exact and not rounded up to the next line: for time. */
export function exactScale(max: number, to: readonly [number, number], wanted = 6): Scale {
  const step = niceStep(max / wanted);
  const scale = (value: number): number => to[0] + (value / max) * (to[1] - to[0]);
  const ticks = Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, n) => n * step);
  return Object.assign(scale, { ticks });
}

/** From the 1, 2 or 5 below the lowest value to the one above the highest. */
export function logScale([min, max]: readonly [number, number], to: readonly [number, number]): Scale {
  const low = niceStep(Math.min(Math.max(min, 1e-3), 1e6), 'below');
  const high = Math.max(niceStep(Math.max(max, 1e-3)), 10 * low);
  const decades = Math.log10(high / low);
  const scale = (value: number): number => {
    const share = Math.log10(Math.max(value, low) / low) / decades;
    return to[0] + Math.min(1, share) * (to[1] - to[0]);
  };
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high * 1.001; power *= 10) {
    const factors = decades <= 2.5 ? [1, 2, 5] : [1];
    ticks.push(
      ...factors.map((factor) => factor * power).filter((tick) => tick >= low * 0.999 && tick <= high * 1.001),
    );
  }
  return Object.assign(scale, { ticks });
}

/** 1, 2 or 5 times a power of ten, next to a value. */
function niceStep(value: number, side: 'above' | 'below' = 'above'): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  if (side === 'below') return ([5, 2].find((factor) => factor * power <= value * (1 + 1e-9)) ?? 1) * power;
  return ([1, 2, 5].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10) * power;
}

/** A number for an axis. */
export function axisNumber(value: number): string {
  if (value >= 10_000) return `${Number((value / 1_000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
