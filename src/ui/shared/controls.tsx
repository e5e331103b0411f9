// Buttons, fields, choices and progress: thin dress over accessible components.
import type { ReactNode, Ref } from 'react';
import {
  Button as AriaButton,
  type ButtonProps,
  FieldError,
  Input,
  Label,
  ProgressBar,
  Radio,
  RadioGroup,
  Switch,
  Text,
  TextField,
} from 'react-aria-components';

export function Button({
  look = '',
  ...props
}: ButtonProps & {
  ref?: Ref<HTMLButtonElement>;
  look?: 'primary' | 'small' | 'quiet' | '' | 'small quiet' | 'small primary';
}) {
  const classes = look
    .split(' ')
    .filter(Boolean)
    .map((l) => `btn-${l}`)
    .join(' ');
  return (
    <AriaButton
      {...props}
      className={`btn ${classes} ${typeof props.className === 'string' ? props.className : ''}`}
    />
  );
}

/** A text or number field with its help, and the mistake in it. */
export function Field(props: {
  label: string;
  help?: string;
  value: string;
  error?: string;
  numeric?: boolean;
  /** Not shown as it is typed. */
  secret?: boolean;
  disabled?: boolean;
  onChange(value: string): void;
  onBlur?(): void;
}) {
  const {
    label,
    help,
    value,
    error,
    numeric = true,
    secret = false,
    disabled,
    onChange,
    onBlur,
  } = props;
  return (
    <TextField
      value={value}
      onChange={onChange}
      onBlur={onBlur}
      isInvalid={error !== undefined}
      isDisabled={disabled}
      validationBehavior="aria"
      className="flex min-w-0 flex-col gap-1"
    >
      <Label className="font-medium">{label}</Label>
      <Input
        className="input"
        type={secret ? 'password' : 'text'}
        inputMode={numeric ? 'decimal' : undefined}
        autoComplete="off"
        spellCheck={false}
      />
      {error === undefined && help && (
        <Text slot="description" className="hint leading-snug">
          {help}
        </Text>
      )}
      <FieldError className="text-sm leading-snug text-danger">{error}</FieldError>
    </TextField>
  );
}

/** A few alternatives side by side. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: ReactNode; name?: string }[];
  disabled?: boolean;
  hideLabel?: boolean;
  help?: string;
  onChange(value: T): void;
}) {
  return (
    <RadioGroup
      value={props.value}
      onChange={(v) => props.onChange(v as T)}
      isDisabled={props.disabled}
      orientation="horizontal"
      className="flex min-w-0 flex-col gap-1"
    >
      <Label className={props.hideLabel ? 'sr-only' : 'font-medium'}>{props.label}</Label>
      <div className="flex w-fit max-w-full flex-wrap gap-1 rounded-lg border border-line bg-sunk p-1">
        {props.options.map(({ value, label, name }) => (
          <Radio
            key={value}
            value={value}
            aria-label={name}
            className="flex min-h-8 cursor-pointer items-center gap-1.5 rounded-md px-3 text-sm text-muted data-[disabled]:cursor-not-allowed data-[selected]:bg-card data-[selected]:font-medium data-[selected]:text-ink data-[selected]:shadow-sm data-[focus-visible]:outline-2 data-[focus-visible]:outline-accent"
          >
            {label}
          </Radio>
        ))}
      </div>
      {props.help && (
        <Text slot="description" className="hint leading-snug">
          {props.help}
        </Text>
      )}
    </RadioGroup>
  );
}

/** On or off. */
export function Toggle(props: {
  label: string;
  help?: string;
  selected: boolean;
  disabled?: boolean;
  onChange(selected: boolean): void;
}) {
  return (
    <Switch
      isSelected={props.selected}
      onChange={props.onChange}
      isDisabled={props.disabled}
      className="group flex cursor-pointer items-start gap-3 py-1 data-[disabled]:cursor-not-allowed data-[disabled]:opacity-60"
    >
      <span className="mt-0.5 flex h-6 w-10 shrink-0 items-center rounded-full border border-line-strong bg-sunk p-0.5 transition-colors group-data-[selected]:border-accent group-data-[selected]:bg-accent group-data-[focus-visible]:outline-2 group-data-[focus-visible]:outline-offset-2 group-data-[focus-visible]:outline-accent">
        <span className="size-4 rounded-full bg-line-strong transition-transform group-data-[selected]:translate-x-4 group-data-[selected]:bg-on-accent" />
      </span>
      <span>
        <span className="font-medium">{props.label}</span>
        {props.help && <span className="hint block leading-snug">{props.help}</span>}
      </span>
    </Switch>
  );
}

/** Work that goes on: a share done, or just that it goes on. */
export function Progress({
  label,
  done,
  total,
  text,
}: {
  label: string;
  done?: number;
  total?: number;
  text?: string;
}) {
  const known = done !== undefined && total !== undefined && total > 0;
  return (
    <ProgressBar
      aria-label={label}
      value={known ? (100 * done) / total : undefined}
      isIndeterminate={!known}
      valueLabel={text}
      className="w-full"
    >
      {({ percentage, isIndeterminate }) => (
        <>
          <div className="mb-1.5 flex flex-wrap justify-between gap-x-4 text-sm">
            <span>{label}</span>
            <span className="whitespace-nowrap text-muted tabular-nums">{text}</span>
          </div>
          <div className="h-2 overflow-hidden rounded-full bg-sunk">
            <div
              className={`h-full rounded-full bg-accent ${isIndeterminate ? 'w-1/3 animate-pulse' : 'transition-[width]'}`}
              style={isIndeterminate ? undefined : { width: `${percentage}%` }}
            />
          </div>
        </>
      )}
    </ProgressBar>
  );
}
