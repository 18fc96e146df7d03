/** A line on how a script is getting on: standard error, so that its result alone is standard output. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);
