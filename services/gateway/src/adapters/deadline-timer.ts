/** The one timer behind all deadlines: fires when the earliest is due, never more often than every `MIN_MS`. */
const MIN_MS = 2;
const IDLE_MS = 20;

/** `dueInMs` may grow at any time; it is asked again at least every 20 ms, so a new, nearer deadline is late by that at most. */
export function startDeadlineTimer(pending: { dueInMs(): number; expire(): number }): Disposable {
  let timer: NodeJS.Timeout;
  const arm = () => {
    timer = setTimeout(
      () => {
        pending.expire();
        arm();
      },
      Math.min(IDLE_MS, Math.max(MIN_MS, Math.ceil(pending.dueInMs()))),
    );
  };
  arm();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
