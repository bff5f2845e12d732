import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { answerMalformed } from './answer-malformed.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Everything that comes back for these bytes. */
async function said(bytes: string): Promise<string> {
  server = createServer((request, response) => {
    if (request.url === '/slow') response.writeHead(200).write('half of an answer');
    else response.end('yes');
  });
  answerMalformed(server);
  const listening = server;
  await new Promise<void>((done) => listening.listen(0, '127.0.0.1', done));
  const socket = connect((listening.address() as AddressInfo).port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

describe('what is no request', () => {
  it.each([
    ['431', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(200_000)}`],
    ['400', 'hello\r\n\r\n'],
  ])('is answered with %s, and the connection closed', async (status, bytes) => {
    expect(await said(bytes)).toMatch(
      new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\nConnection: close\\r\\n\\r\\n$`),
    );
  });

  it('is not answered in the middle of another answer', async () => {
    const got = await said('GET /slow HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n').catch(() => '');
    expect(got).not.toContain('400');
  });
});
