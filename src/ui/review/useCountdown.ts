// The seconds until the training follows the review by itself.
import { useEffect, useRef, useState } from 'react';
import { REVIEW_SECONDS } from '../../state/state.ts';

/**
 * Whole seconds left while `on`; calls `onEnd` once at 0. It goes on while the page is hidden: a
 * run that was started and left must end with its adapter.
 */
export function useCountdown(on: boolean, onEnd: () => void): number {
  const [left, setLeft] = useState(REVIEW_SECONDS);
  const end = useRef(onEnd);
  end.current = onEnd;
  useEffect(() => {
    if (!on) return;
    const until = performance.now() + 1000 * REVIEW_SECONDS;
    const timer = setInterval(() => {
      const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
      setLeft(seconds);
      if (seconds > 0) return;
      clearInterval(timer);
      end.current();
    }, 250);
    return () => clearInterval(timer);
  }, [on]);
  return left;
}
