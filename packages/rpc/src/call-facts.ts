import type { Deadline, Metadata } from '@grpc/grpc-js';

/** What a call brings along besides its messages. */
export type CallFacts = {
  readonly peer: string;
  /** What is left of `grpc-timeout` when the call arrived; undefined: none came. */
  readonly remainingMs: number | undefined;
  /** First value of a header, by its lower-case name; binary headers (`…-bin`) are not read here. */
  header(name: string): string | undefined;
};

type Call = { metadata: Metadata; getPeer(): string; getDeadline(): Deadline };

export const factsOf = (call: Call): CallFacts => ({
  peer: call.getPeer(),
  remainingMs: remainingMs(call.getDeadline()),
  header: (name) => {
    const value = call.metadata.get(name)[0];
    return typeof value === 'string' ? value : undefined;
  },
});

/** grpc-js has turned the duration on the wire into a time on this process's own wall clock; this turns it back at once. */
function remainingMs(deadline: Deadline): number | undefined {
  const atMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return Number.isFinite(atMs) ? atMs - Date.now() : undefined;
}
