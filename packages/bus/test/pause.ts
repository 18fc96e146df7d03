/** Stops this process as a machine that is too busy for it does: timers become due, what arrives lies in its sockets. */
export function pause(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
