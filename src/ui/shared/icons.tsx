// The page's few icons, drawn with lines in the text's colour.
import type { ReactNode } from 'react';

function Svg({ children }: { children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 20 20"
      width="18"
      height="18"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className="shrink-0"
    >
      {children}
    </svg>
  );
}

export const PlayIcon = () => (
  <Svg>
    <path d="M6 4.5v11l9-5.5z" fill="currentColor" />
  </Svg>
);
export const PauseIcon = () => (
  <Svg>
    <path d="M7 5v10M13 5v10" strokeWidth="2.6" />
  </Svg>
);
export const StopIcon = () => (
  <Svg>
    <rect x="5.5" y="5.5" width="9" height="9" rx="1.5" fill="currentColor" />
  </Svg>
);
export const FolderIcon = () => (
  <Svg>
    <path d="M2.5 6A1.5 1.5 0 0 1 4 4.5h3.2l1.8 2h7A1.5 1.5 0 0 1 17.5 8v6A1.5 1.5 0 0 1 16 15.5H4A1.5 1.5 0 0 1 2.5 14z" />
  </Svg>
);
export const FileIcon = () => (
  <Svg>
    <path d="M5 2.5h6.5L15.5 6.500V16A1.5 1.5 0 0 1 14 17.500H6A1.5 1.5 0 0 1 4.5 16V3zM11.5 2.500V6.500h4" />
  </Svg>
);
export const DownloadIcon = () => (
  <Svg>
    <path d="M10 3v9m0 0 3.5-3.500M10 12 6.5 8.500M3.5 16.500h13" />
  </Svg>
);
export const CheckIcon = () => (
  <Svg>
    <path d="m4.5 10.5 3.5 3.5 7.5-8" strokeWidth="2" />
  </Svg>
);
export const CloseIcon = () => (
  <Svg>
    <path d="m5.5 5.5 9 9m0-9-9 9" />
  </Svg>
);
export const WarningIcon = () => (
  <Svg>
    <path d="M10 3 2.5 16.500h15zM10 8.500v3.500m0 2.200v.1" />
  </Svg>
);
export const SunIcon = () => (
  <Svg>
    <circle cx="10" cy="10" r="3.3" />
    <path d="M10 2v1.500M10 16.500V18M2 10h1.500M16.5 10H18M4.3 4.300l1.1 1.100M14.6 14.600l1.1 1.100M15.7 4.300l-1.1 1.100M5.4 14.600l-1.1 1.1" />
  </Svg>
);
export const MoonIcon = () => (
  <Svg>
    <path d="M16 11.500A6.5 6.5 0 0 1 8.5 4 6.5 6.5 0 1 0 16 11.500z" />
  </Svg>
);
export const BackIcon = () => (
  <Svg>
    <path d="m12 5-5 5 5 5" />
  </Svg>
);
export const ForwardIcon = () => (
  <Svg>
    <path d="m8 5 5 5-5 5" />
  </Svg>
);
export const KeyboardIcon = () => (
  <Svg>
    <path d="M2.500 5.500h15v9h-15zM5.500 8.500h.1M8.500 8.500h.1M11.500 8.500h.1M14.500 8.500h.1M6.500 11.500h7" />
  </Svg>
);
export const ScreenIcon = () => (
  <Svg>
    <path d="M3 4.500h14v9H3zM7 16.500h6" />
  </Svg>
);
export const GridIcon = () => (
  <Svg>
    <path d="M3 3.5h14v13H3zM3 8h14M3 12h14M7.700 3.500v13M12.300 3.500v13" />
  </Svg>
);
export const ChipIcon = () => (
  <Svg>
    <path d="M6 6h8v8H6zM8 3v3M12 3v3M8 14v3M12 14v3M3 8h3M3 12h3M14 8h3M14 12h3" />
  </Svg>
);

/** The mark: three experts of different rank. */
export function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true" className="shrink-0">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g fill="var(--on-accent)">
        <rect x="7" y="17" width="4" height="8" rx="1.5" opacity=".7" />
        <rect x="14" y="7" width="4" height="18" rx="1.5" />
        <rect x="21" y="12" width="4" height="13" rx="1.5" opacity=".85" />
      </g>
    </svg>
  );
}
