/** Writes the table of variables into the README. */
import { join } from 'node:path';
import { updateReadmeTable } from '@spillway/config/print-table';
import { gpuWorkerConfig, SERVICE_DIR } from '../src/config.ts';

updateReadmeTable(join(SERVICE_DIR, 'README.md'), gpuWorkerConfig);
