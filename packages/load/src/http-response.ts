/** Status line and headers, as they came and in lower case. */
export type Head = { text: string; lower: string };

/** An HTTP/1.1 response as far as it has come. */
export type HttpResponse = {
  status: number;
  head: Head;
  body: string;
  /** The server closes the connection after it. */
  closes: boolean;
};

export type Parsed = HttpResponse | 'incomplete' | 'malformed';

/**
 * Reads the response at the begin of `text` (latin1), whole or not at all. Knows lengths, chunks and bodies that end with the
 * connection (`ended`). As cheap as one request of a load generator must be: no object per header.
 */
export function readResponse(text: string, ended: boolean): Parsed {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return 'incomplete';
  const headText = text.slice(0, headEnd);
  const head: Head = { text: headText, lower: headText.toLowerCase() };
  const status = Number.parseInt(headText.slice(9, 12), 10);
  if (!head.lower.startsWith('http/1.') || !(status >= 200)) return 'malformed';
  const closes = headerOf(head, 'connection').toLowerCase() === 'close' || head.lower.startsWith('http/1.0');
  const bodyAt = headEnd + 4;
  const lengthText = headerOf(head, 'content-length');
  if (lengthText !== '') {
    const end = bodyAt + Number(lengthText);
    if (Number.isNaN(end)) return 'malformed';
    return text.length < end ? 'incomplete' : { status, head, body: text.slice(bodyAt, end), closes };
  }
  if (headerOf(head, 'transfer-encoding').toLowerCase() === 'chunked') {
    const body = readChunks(text, bodyAt);
    return body === undefined ? 'incomplete' : { status, head, body, closes };
  }
  return ended ? { status, head, body: text.slice(bodyAt), closes: true } : 'incomplete';
}

function readChunks(text: string, from: number): string | undefined {
  let body = '';
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(size >= 0) || text.length < lineEnd + 2 + size + 2) return undefined;
    if (size === 0) return body; // trailers are not sent by servers that were not asked for them
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}

/** @param name In lower case. */
export function headerOf({ text, lower }: Head, name: string): string {
  const at = lower.indexOf(`\r\n${name}:`);
  if (at < 0) return '';
  const from = at + name.length + 3;
  const end = text.indexOf('\r\n', from);
  return text.slice(from, end < 0 ? text.length : end).trim();
}
