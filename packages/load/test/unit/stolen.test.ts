import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stolenText } from '../../src/report-text.ts';
import { stolenMs } from '../../src/stolen.ts';

test('what the host withheld is the eighth figure of all processors', () => {
  const stat = 'cpu  4705 356 584 3699 23 10 23 77 0 0\ncpu0 2000 0 0 0 0 0 0 40 0 0\nintr 1\n';
  assert.equal(stolenMs(stat), 770);
  assert.equal(stolenMs(''), undefined, 'not Linux');
  assert.equal(stolenMs('cpu 1 2 3 4\n'), undefined, 'older than steal');
});

test('a host that withholds nothing is not worth a word', () => {
  assert.equal(stolenText(null), '');
  assert.equal(stolenText(0.002), '');
  assert.match(stolenText(0.22), /gave 22 % of its processors to others/);
});
