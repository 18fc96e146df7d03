import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { CliError, type Context } from '../context.ts';

export type Line = { number: number; text: string };

/** Lines of a file, `-` is standard input, without empty ones; never the whole file at once. @throws CliError */
export async function* linesOf(context: Pick<Context, 'cwd'>, file: string): AsyncGenerator<Line> {
  let number = 0;
  let rest = '';
  for await (const chunk of chunksOf(context, file)) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      number += 1;
      if (part.trim() !== '') yield { number, text: part.trim() };
    }
  }
  if (rest.trim() !== '') yield { number: number + 1, text: rest.trim() };
}

async function* chunksOf({ cwd }: Pick<Context, 'cwd'>, file: string): AsyncGenerator<string> {
  const input = file === '-' ? process.stdin : createReadStream(resolve(cwd, file));
  try {
    for await (const chunk of input.setEncoding('utf8')) yield chunk as string;
  } catch (error) {
    throw new CliError(`cannot read ${file}: ${(error as Error).message}`, [], 2);
  }
}
