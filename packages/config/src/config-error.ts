/** `EX_CONFIG` of sysexits.h: a restart will not help, a person must look. */
const EXIT_CONFIG = 78;

/** `subject` is a variable, a member of a file or a pair of them; `text` says what was expected and what came. */
export type Fault = { subject: string; text: string };

/** All that is wrong with one configuration, in one report. Secrets in it are masked. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = EXIT_CONFIG;
  readonly faults: readonly Fault[];

  /** @param source What was read: a service's name, or a file's. */
  constructor(source: string, faults: readonly Fault[], options?: { cause: unknown }) {
    super(faults.map((fault) => `${source}: ${line(fault)}`).join('\n'), options);
    this.faults = faults;
  }
}

const line = ({ subject, text }: Fault): string => (subject === '' ? text : `${subject}: ${text}`);
