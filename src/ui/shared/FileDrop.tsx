// A drop zone with its picker, or two.
import type { ReactNode } from 'react';
import { DropZone, FileTrigger, Text } from 'react-aria-components';
import { Button } from './controls.tsx';
import { type Chosen, fromDrop, fromPicker } from './files.ts';

export function FileDrop(props: {
  label: string;
  hint: ReactNode;
  button: string;
  icon: ReactNode;
  folder?: boolean;
  accept?: string[];
  /** A second picker, of files, beside one of folders. */
  also?: { button: string; icon: ReactNode; accept: string[] };
  disabled?: boolean;
  onChoose(chosen: Chosen): void;
}) {
  const { label, hint, button, icon, folder = false, accept, also, disabled, onChoose } = props;
  const choose = (chosen: Chosen) => {
    if (chosen.files.length > 0) onChoose(chosen);
  };
  return (
    <DropZone
      isDisabled={disabled}
      onDrop={(e) => void fromDrop(e.items).then(choose)}
      className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3 rounded-xl border border-dashed border-line-strong px-5 py-5 transition-colors data-[drop-target]:border-accent data-[drop-target]:bg-accent-soft"
    >
      <div className="min-w-0">
        <Text slot="label" className="block font-medium">
          {label}
        </Text>
        <p className="hint">{hint}</p>
      </div>
      <div className="flex flex-wrap gap-2">
        <FileTrigger
          acceptDirectory={folder}
          allowsMultiple
          acceptedFileTypes={accept}
          onSelect={(list) => choose(fromPicker(list))}
        >
          <Button isDisabled={disabled}>
            {icon}
            {button}
          </Button>
        </FileTrigger>
        {also && (
          <FileTrigger
            acceptedFileTypes={also.accept}
            onSelect={(list) => choose(fromPicker(list))}
          >
            <Button isDisabled={disabled}>
              {also.icon}
              {also.button}
            </Button>
          </FileTrigger>
        )}
      </div>
    </DropZone>
  );
}
