/** What shells report for a process ended by Ctrl-C: 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;

/**
 * Resolves with the name of the first of these signals. The next one, whichever it is, ends the process at once: whoever asks
 * twice does not want to wait for the drain. The listeners stay for the life of the process.
 */
export function untilSignal(...signals: NodeJS.Signals[]): Promise<string> {
  return new Promise((resolve) => {
    let seen = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (seen) process.exit(EXIT_INTERRUPTED);
      seen = true;
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}

/**
 * For the end of a program, when everything is closed: ends the process after `graceMs` if something still keeps it
 * alive. The NATS client (2.29.3) leaves a timer behind when it closes under a watch that is being opened, as it must where the server
 * does not answer within the limit of a drain; a service that has drained must not wait for that to be killed.
 */
export function exitWithin(graceMs: number): void {
  setTimeout(() => process.exit(), graceMs).unref();
}
