// A small whole number with a button on either side.
import { Button, Group, Input, Label, NumberField } from 'react-aria-components';

export function Stepper(props: {
  label: string;
  value: number;
  low: number;
  high: number;
  disabled?: boolean;
  onChange(value: number): void;
}) {
  const { label, value, low, high, disabled, onChange } = props;
  const button =
    'grid size-9 cursor-pointer place-items-center text-lg text-muted hover:bg-sunk data-[disabled]:cursor-not-allowed data-[disabled]:opacity-40';
  return (
    <NumberField
      value={value}
      minValue={low}
      maxValue={high}
      step={1}
      isDisabled={disabled}
      onChange={(v) => !Number.isNaN(v) && onChange(v)}
      className="flex flex-col gap-1"
    >
      <Label className="text-sm font-medium">{label}</Label>
      <Group className="flex items-center overflow-hidden rounded-lg border border-line-strong bg-card">
        <Button slot="decrement" className={button}>
          −
        </Button>
        <Input className="h-9 w-10 bg-transparent text-center tabular-nums disabled:text-muted" />
        <Button slot="increment" className={button}>
          +
        </Button>
      </Group>
    </NumberField>
  );
}
