import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Mesh } from '@spillway/testing/mesh';
import { findChromium, type Page, startChromium } from '../support/chromium.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';

/**
 * The page that shows what the HTTP door serves, in a real browser. `./spillway test` installs one where there is none; run by
 * itself without a browser this is skipped.
 */
const file = findChromium();
const skip =
  file === undefined && 'no Chromium: run ./spillway test, which installs it, or set CHROMIUM=/path/to/chromium';
/** Where a screenshot is kept, for people to look at. */
const KEPT = process.env['SPILLWAY_SCREENSHOT'];

const open = new AsyncDisposableStack();
let mesh: Mesh;
let page: Page;
before(async () => {
  if (file === undefined) return;
  mesh = open.use(await startSeededMesh({ serves: ['intent', 'simple'] }));
  const browser = open.use(await startChromium(file));
  page = await browser.open(`${mesh.url}/docs`);
});
after(() => open.disposeAsync());

async function until(what: string, expression: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await page.evaluate<boolean>(expression))) {
    if (performance.now() > endMs) throw new Error(`not within 60 s: ${what}`);
    await delay(25);
  }
}

const ROUTE = (id: string): string => `document.getElementById(${JSON.stringify(id)})`;

/** Opens a route, fills its form, sends it, and reads what came. */
async function tryOut(id: string, values: Record<string, string>): Promise<{ status: string; answer: string }> {
  const fill = Object.entries(values).map(
    ([name, value]) => `route.querySelector('[name="${name}"]').value = ${JSON.stringify(value)};`,
  );
  await page.evaluate(
    `{ const route = ${ROUTE(id)}; route.open = true; ${fill.join('')} route.querySelector('button').click(); 0 }`,
  );
  await until('an answer is shown', `${ROUTE(id)}.querySelector('pre.answer') !== null`);
  const at = `${ROUTE(id)}.querySelector('[aria-live]')`;
  return {
    status: await page.evaluate(`${at}.querySelector('h3').textContent`),
    answer: await page.evaluate(`${at}.querySelector('pre.answer').textContent`),
  };
}

test('the page lists every route of the document', { skip }, async () => {
  await until('the routes are there', `document.querySelectorAll('main > details').length > 0`);
  const { paths } = (await (await fetch(`${mesh.url}/openapi.json`)).json()) as { paths: Record<string, object> };
  const shown = await page.evaluate<string[]>(
    `[...document.querySelectorAll('main > details > summary > code')].map((code) => code.textContent)`,
  );
  const routes = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((key) => key !== 'parameters')
      .map(() => path),
  );
  assert.deepEqual(shown.toSorted(), routes.toSorted());
});

test('a request can be tried: a text, tensors, and one that fails', { skip }, async () => {
  const plain = await tryOut('post/v1/models/{model}:predict', { model: 'intent', 'spillway-receipt': 'body' });
  assert.match(plain.status, /^200 OK/);
  const { outputs, spillway } = JSON.parse(plain.answer) as {
    outputs: { label: string; scores: number[] };
    spillway: object;
  };
  assert.match(outputs.label, /card/);
  assert.equal(outputs.scores.length, 77);
  assert.ok('spillway_rung' in spillway);
  const tensors = await tryOut('post/v2/models/{model}/infer', { model: 'simple', 'spillway-class': 'bulk' });
  assert.match(tensors.answer, /"name": "OUTPUT0"/);
  const wrong = await tryOut('get/v2/models/{model}', { model: 'nobody' });
  assert.match(wrong.status, /^404/);
  assert.match(wrong.answer, /no such model/);
  if (KEPT !== undefined) await writeFile(KEPT, await page.screenshot());
});
