import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Name, toName } from '@spillway/contracts/names';
import { parseCsv, rowsOfView } from '../../src/core/csv.ts';
import type { FeatureView } from '../../src/core/feature-view.ts';

const view: FeatureView = {
  view: toName('profile', 'view') as Name,
  entity: 'client_id',
  version: 1,
  source: { kind: 'redis' },
  freshnessMs: 1_000,
  timeoutMs: 50,
  fields: [
    { name: 'LIMIT', type: 'float', default: 0 },
    { name: 'AGE', type: 'int', default: 0 },
    { name: 'LATE', type: 'bool', default: 0 },
  ],
};

describe('CSV', () => {
  it('reads quotes, doubled quotes, line breaks inside quotes, CRLF, and a last line without an end', () => {
    assert.deepEqual(parseCsv('a,b\r\n"x, ""y""\nz",2\r\n\r\n3,'), [
      ['a', 'b'],
      ['x, "y"\nz', '2'],
      ['3', ''],
    ]);
    assert.deepEqual(parseCsv('a\n1'), [['a'], ['1']]);
  });

  it('says where a quote is not closed', () => {
    assert.throws(() => parseCsv('a,b\n1,"2'), /expected a comma or the end of a line after the cell at character 6/);
  });

  it('takes the columns of the view in its order, numbers in any notation, and leaves empty cells out', () => {
    const table = parseCsv('AGE,ID,LATE,LIMIT,other\n30,7,1,1.00E+05,x\n,8,false,,\n');
    assert.deepEqual(rowsOfView(view, table, 'ID'), [
      { entity: '7', values: [100_000, 30, true] },
      { entity: '8', values: [undefined, undefined, false] },
    ]);
  });

  it('names line and column of a value that is not of its type, and a column that is not there', () => {
    const load = (text: string) => () => rowsOfView(view, parseCsv(text), 'ID');
    assert.throws(load('ID,LIMIT,AGE,LATE\n1,2,3,0\n2,2,3.5,0\n'), /line 3, column "AGE": expected int, got "3\.5"/);
    assert.throws(load('ID,LIMIT,AGE,LATE\n1,much,3,0\n'), /line 2, column "LIMIT": expected float, got "much"/);
    assert.throws(load('ID,LIMIT,LATE\n1,2,0\n'), /view profile: expected a column "AGE"/);
    assert.throws(load('LIMIT,AGE,LATE\n1,2,0\n'), /expected a column "ID" with the ids/);
    assert.throws(load('ID,LIMIT,AGE,LATE\n,2,3,0\n'), /line 2: expected an id/);
  });
});
