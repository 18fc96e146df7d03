/**
 * Waits for work, at most `ms`; what comes later is dropped. When the timer fires, what has arrived meanwhile is read first (the
 * immediate): after a pause of this process the answer often lies in the socket.
 * @throws `late` when it takes longer, or what the work fails with.
 */
export function within<T>(work: Promise<T>, ms: number, late: Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(late)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
