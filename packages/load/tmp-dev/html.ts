import { readFileSync, writeFileSync } from 'node:fs';
import { reportPage } from '../src/html/page.ts';

const files = process.argv.slice(3);
writeFileSync(process.argv[2]!, reportPage(files.map((f) => JSON.parse(readFileSync(f, 'utf8')))));
