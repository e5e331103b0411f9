// Half-precision conversions, checked exhaustively over bit patterns and at every rounding case.
import { describe, expect, test } from 'vitest';
import {
  bf16ArrayToF32,
  f16ArrayToF32,
  f16ToF32,
  f32ArrayToBf16,
  f32ArrayToF16,
  f32ToBf16,
  f32ToF16,
} from './f16.ts';

describe('f16', () => {
  test('every one of the 65,536 patterns survives the way to f32 and back (NaN as NaN)', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = f16ArrayToF32(bits);
    const back = f32ArrayToF16(values);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(values[i]))
        expect((back[i] & 0x7c00) === 0x7c00 && (back[i] & 0x3ff) !== 0).toBe(true);
      else if (back[i] !== i) expect.fail(`pattern ${i} came back as ${back[i]}`);
    }
  });

  test('the middle between two neighbours goes to the even one, a little more or less to the nearer one', () => {
    for (let i = 0; i < 0x7bff; i += 7) {
      const [a, b] = [f16ToF32(i), f16ToF32(i + 1)];
      const middle = (a + b) / 2; // exact in f32
      expect(f32ToF16(middle)).toBe(i % 2 === 0 ? i : i + 1);
      const nudge = Math.fround(middle * (1 + 2 ** -22));
      if (nudge > middle && nudge < b) expect(f32ToF16(nudge)).toBe(i + 1);
      expect(f32ToF16(-middle)).toBe(0x8000 | (i % 2 === 0 ? i : i + 1));
    }
  });

  test('limits: overflow to infinity from 65,520 on, underflow to a signed zero at 2^-25', () => {
    expect(f32ToF16(65504)).toBe(0x7bff);
    expect(f32ToF16(65519.996)).toBe(0x7bff);
    expect(f32ToF16(65520)).toBe(0x7c00);
    expect(f32ToF16(1e30)).toBe(0x7c00);
    expect(f32ToF16(Number.NEGATIVE_INFINITY)).toBe(0xfc00);
    expect(f32ToF16(2 ** -25)).toBe(0);
    expect(f32ToF16(2 ** -25 * 1.0001)).toBe(1);
    expect(f32ToF16(-(2 ** -30))).toBe(0x8000);
    expect(f32ToF16(1e-45)).toBe(0);
    expect(Object.is(f16ToF32(0x8000), -0)).toBe(true);
  });
});

describe('bf16', () => {
  test('every pattern survives the way to f32 and back (NaN as NaN)', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = bf16ArrayToF32(bits);
    const back = f32ArrayToBf16(values);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(values[i]))
        expect((back[i] & 0x7f80) === 0x7f80 && (back[i] & 0x7f) !== 0).toBe(true);
      else if (back[i] !== i) expect.fail(`pattern ${i} came back as ${back[i]}`);
    }
  });

  test('rounds to nearest even', () => {
    expect(f32ToBf16(1 + 2 ** -8)).toBe(0x3f80);
    expect(f32ToBf16(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(f32ToBf16(1 + 2 ** -8 + 2 ** -20)).toBe(0x3f81);
    expect(f32ToBf16(-(1 + 2 ** -8))).toBe(0xbf80);
    expect(f32ToBf16(3.4e38)).toBe(0x7f80);
  });
});
