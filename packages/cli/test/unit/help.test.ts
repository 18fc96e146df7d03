import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const folder = join(import.meta.dirname, '..', '..');
const commands = readdirSync(join(folder, 'src', 'commands')).map((file) => file.replace('.ts', ''));
const help = (name: string) => readFileSync(join(folder, 'help', `${name}.txt`), 'utf8');

test('the help lists every command', () => {
  for (const command of commands) assert.match(help('help'), new RegExp(`^  ${command} +\\w`, 'm'));
});

for (const command of commands) {
  test(`the help of ${command} has every option`, async () => {
    const { OPTIONS } = (await import(`../../src/commands/${command}.ts`)) as {
      OPTIONS: Record<string, { short?: string }>;
    };
    for (const [name, { short }] of Object.entries(OPTIONS)) {
      assert.match(help(command), new RegExp(`^ +--${name}\\b`, 'm'), name);
      if (short) assert.match(help(command), new RegExp(`--${name}, -${short}\\b`), name);
    }
  });
}
