import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HttpResponse, headerOf, readResponse } from '../../src/http-response.ts';

const read = (text: string, ended = false): HttpResponse => {
  const parsed = readResponse(text, ended);
  assert.ok(typeof parsed === 'object', String(parsed));
  return parsed;
};

test('a response is read when it is whole, however it is cut', () => {
  const text = 'HTTP/1.1 200 OK\r\nSpillway-Batch-Size: 7\r\nContent-Length: 5\r\n\r\nhello';
  for (let end = 0; end < text.length; end += 1) assert.equal(readResponse(text.slice(0, end), false), 'incomplete');
  const { status, body, closes, head } = read(text);
  assert.deepEqual([status, body, closes, headerOf(head, 'spillway-batch-size')], [200, 'hello', false, '7']);
});

test('names of headers have no case, values keep theirs, and a name inside another is not it', () => {
  const { head } = read(
    'HTTP/1.1 503 Busy\r\nX-Spillway-Error: no\r\nSPILLWAY-ERROR:OVERLOADED \r\ncontent-length: 0\r\n\r\n',
  );
  assert.equal(headerOf(head, 'spillway-error'), 'OVERLOADED');
  assert.equal(headerOf(head, 'error'), '');
});

test('chunks are put together', () => {
  const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na;x=1\r\n, world!!!\r\n0\r\n\r\n';
  assert.equal(read(text).body, 'hello, world!!!');
  assert.equal(readResponse(text.slice(0, -9), false), 'incomplete');
});

test('a body without a length ends with the connection', () => {
  const text = 'HTTP/1.1 200 OK\r\n\r\nall of it';
  assert.equal(readResponse(text, false), 'incomplete');
  assert.deepEqual([read(text, true).body, read(text, true).closes], ['all of it', true]);
});

test('a server that closes says so, and HTTP/1.0 always closes', () => {
  assert.ok(read('HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n').closes);
  assert.ok(read('HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n').closes);
});

test('what is no response is malformed', () => {
  for (const text of ['SSH-2.0-x\r\n\r\n', 'HTTP/1.1 abc\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n']) {
    assert.equal(readResponse(text, false), 'malformed', text);
  }
});
