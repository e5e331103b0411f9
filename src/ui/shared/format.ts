// Numbers as people read them.
const group = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** 1234567 → "1,234,567". */
export const whole = (n: number): string => group.format(n);

/** 1234567 → "1.2 M". */
export function short(n: number): string {
  if (n < 10_000) return whole(n);
  const [size, unit] = n >= 1e9 ? [1e9, 'B'] : n >= 1e6 ? [1e6, 'M'] : [1e3, 'k'];
  const value = n / size;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

/** Bytes with a unit: 1.7 MiB. */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const units = ['KiB', 'MiB', 'GiB'];
  let value = n / 1024;
  let i = 0;
  while (value >= 1024 && i < units.length - 1) {
    value /= 1024;
    i++;
  }
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[i]}`;
}

/** Seconds as "45 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 === 0 ? `${s / 60} min` : `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
}

/** A loss with three or four digits that matter. */
export const loss = (n: number): string =>
  n >= 100
    ? n.toFixed(1)
    : n >= 0.1
      ? n.toFixed(3)
      : n >= 1e-4
        ? String(Number(n.toPrecision(3)))
        : n.toExponential(1);

/** A share as a percentage. */
export const percent = (part: number, of: number): string => {
  if (of === 0) return '0 %';
  const p = (100 * part) / of;
  return `${p > 0 && p < 10 ? p.toFixed(1) : p > 99 && p < 100 ? p.toFixed(1) : p.toFixed(0)} %`;
};

/** " · 3 min left" of a second or more, where it is known. */
export const left = (seconds: number | null | undefined): string =>
  seconds != null && seconds >= 1 ? ` · ${duration(seconds)} left` : '';
