/**
 * FP32 values as JSON numbers of the fewest digits that give the same FP32 again: at most nine, where the same value as a double takes
 * seventeen. Half the bytes for whoever reads them, and several times faster than `String`, which looks for the digits of a double.
 */

/** Exact as doubles: a quotient by one of them is rounded once, so it is the double that a reader of the digits gets. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
/** Below it a value takes the form 1.5e-8, as in JavaScript. */
const FIXED_FROM = 1e-6;
/** With nine digits, the smallest whose divisor is among POWERS. Below it, and from 10⁹ on, `String` does it. */
const SMALLEST = 1e-13;
const LARGEST = 1e9;

const LONGEST_NUMBER = 26;
const NUMBERS_AT_ONCE = 512;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const SMALL_E = 0x65;

const scratch = Buffer.allocUnsafe(LONGEST_NUMBER * NUMBERS_AT_ONCE);

/** Writes an integer of `count` digits below 2³¹ so that its last digit stands before `end`. */
function writeDigits(integer: number, count: number, end: number): void {
  let rest = integer;
  for (let at = end - 1; at >= end - count; at -= 1) {
    const tenth = (rest / 10) | 0;
    scratch[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
}

function digitsOf(integer: number): number {
  let count = 1;
  while (count < 10 && integer >= (POWERS[count] as number)) count += 1;
  return count;
}

/** Writes digits × 10^-decimals. Returns where it ends. */
function writeDecimal(digits: number, decimals: number, small: boolean, start: number): number {
  let at = start;
  const count = digitsOf(digits);
  if (decimals === 0) {
    writeDigits(digits, count, at + count);
    return at + count;
  }
  if (small) {
    writeDigits(digits, count, at + count + 1);
    scratch[at] = scratch[at + 1] as number;
    at += 1;
    if (count > 1) {
      scratch[at] = POINT;
      at += count;
    }
    const exponent = decimals - count + 1;
    scratch[at] = SMALL_E;
    scratch[at + 1] = MINUS;
    const length = digitsOf(exponent);
    writeDigits(exponent, length, at + 2 + length);
    return at + 2 + length;
  }
  const whole = count - decimals;
  if (whole <= 0) {
    scratch[at] = ZERO;
    scratch[at + 1] = POINT;
    at += 2;
    for (let zeros = whole; zeros < 0; zeros += 1) {
      scratch[at] = ZERO;
      at += 1;
    }
    writeDigits(digits, count, at + count);
    return at + count;
  }
  writeDigits(digits, count, at + count + 1);
  for (let moved = 0; moved < whole; moved += 1) scratch[at + moved] = scratch[at + moved + 1] as number;
  scratch[at + whole] = POINT;
  return at + count + 1;
}

/** Writes a positive value. Returns where it ends. */
function writePositive(value: number, start: number): number {
  if (value < LARGEST && value === (value | 0)) return writeDecimal(value, 0, false, start);
  if (value < SMALLEST || value >= LARGEST) return start + scratch.write(String(value), start, 'latin1');
  // 7 digits stand before the last three that FP32 may need; where the value has more before its point, those.
  let decimals = 6;
  if (value >= 1) {
    while (decimals > 0 && value >= (POWERS[7 - decimals] as number)) decimals -= 1;
  } else {
    while (value * (POWERS[decimals] as number) < 1e6) decimals += 1;
  }
  for (const most = decimals + 2; ; decimals += 1) {
    const divisor = POWERS[decimals] as number;
    let digits = Math.round(value * divisor) | 0;
    if (decimals < most && Math.fround(digits / divisor) !== value) continue;
    while (digits % 10 === 0 && decimals > 0) {
      digits /= 10;
      decimals -= 1;
    }
    return writeDecimal(digits, decimals, value < FIXED_FROM, start);
  }
}

/**
 * @param values Of any length.
 * @returns The numbers with commas between them, or nothing if one of them is NaN or infinite, which JSON cannot say.
 */
export function float32Text(values: Float32Array): string | undefined {
  let text = '';
  let at = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value - value !== 0) return undefined;
    if (i > 0) {
      scratch[at] = COMMA;
      at += 1;
    }
    if (value > 0) at = writePositive(value, at);
    else if (value < 0) {
      scratch[at] = MINUS;
      at = writePositive(-value, at + 1);
    } else {
      scratch[at] = ZERO;
      at += 1;
    }
    if (at > LONGEST_NUMBER * (NUMBERS_AT_ONCE - 1)) {
      text += scratch.toString('latin1', 0, at);
      at = 0;
    }
  }
  return text + scratch.toString('latin1', 0, at);
}
