import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WitnessLine } from '../../log/signed-head-witness.ts';
import { witnessTarget } from './witness-target.ts';

const line: WitnessLine = {
  ...{ version: 1, partition: 'state', slot: 7, position: 9, hash: 'ab'.repeat(32) },
  ...{ at: '2026-01-01T00:00:00.000Z', keyId: '0123456789abcdef', signature: `${'A'.repeat(86)}==` },
};
const nobodyStops = new AbortController().signal;

const opened: (() => void)[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const close of opened.splice(0)) close();
});

interface Asked {
  readonly method: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A witness on this machine that answers with `status` and `text`; or never. */
async function keeper(status: number | 'never', text = '') {
  const asked: Asked[] = [];
  const begun = Promise.withResolvers<undefined>();
  const server = createServer((request, response) => {
    void textOf(request).then((body) => {
      asked.push({ method: request.method, headers: request.headers, body });
      begun.resolve(undefined);
      if (status !== 'never') response.writeHead(status).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { asked, begun: begun.promise, address: `127.0.0.1:${port}` };
}

describe('a witness that is an address', () => {
  it('is sent each line as JSON, with its password in a header only', async () => {
    const { asked, address } = await keeper(200);
    const target = witnessTarget(`http://al%40ice:s%C3%A9cret@${address}/heads`);
    expect(target.place).toBe(`http://${address}/heads`);
    await target.deliver(line, nobodyStops);
    expect(asked).toMatchObject([{ method: 'POST', headers: { 'content-type': 'application/json' } }]);
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual(line);
    const [scheme, secret = ''] = asked[0]?.headers.authorization?.split(' ') ?? [];
    expect([scheme, Buffer.from(secret, 'base64').toString()]).toEqual(['Basic', 'al@ice:sécret']);
  });

  it.each(['alice@', ':secret@'])('is told who asks also where half of that is given: %s', async (half) => {
    const { asked, address } = await keeper(200);
    await witnessTarget(`http://${half}${address}/`).deliver(line, nobodyStops);
    expect(asked[0]?.headers.authorization).toMatch(/^Basic ./);
  });

  it('is told nobody’s name where none is given', async () => {
    const { asked, address } = await keeper(299);
    await witnessTarget(`http://${address}/`).deliver(line, nobodyStops);
    expect(asked[0]?.headers).not.toHaveProperty('authorization');
  });

  it('is read back', async () => {
    const { asked, address } = await keeper(200, 'a\nb\n');
    expect(await witnessTarget(`http://${address}/heads`).read()).toBe('a\nb\n');
    expect(asked).toMatchObject([{ method: 'GET', body: '' }]);
    expect(asked[0]?.headers.accept).toContain('application/x-ndjson');
  });

  it.each([
    [300, '  moved \n', ' answered 300: moved'],
    [399, 'x'.repeat(300), ` answered 399: ${'x'.repeat(200)}`],
    [503, '', ' answered 503'],
  ])('has not taken what it answers with %d', async (status, text, told) => {
    const { address } = await keeper(status, text);
    await expect(witnessTarget(`http://u:p@${address}/`).deliver(line, nobodyStops)).rejects.toMatchObject({
      code: 'unavailable',
      message: `http://${address}/${told}`,
    });
  });

  it('that nobody listens at says why', async () => {
    await expect(witnessTarget('http://127.0.0.1:1/').read()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:1\/: .*ECONNREFUSED/) as string,
    });
  });

  it('is let go of when the process stops', async () => {
    const { address, begun } = await keeper('never');
    const stopping = new AbortController();
    const delivered = witnessTarget(`http://${address}/`).deliver(line, stopping.signal);
    delivered.catch(() => undefined);
    await begun;
    stopping.abort(new Error('this process stops'));
    await expect(delivered).rejects.toThrow(`http://${address}/: this process stops`);
  });

  it.each(['deliver', 'read'] as const)('has 10 s to answer: %s', async (what) => {
    const { address, begun } = await keeper('never');
    const late = new AbortController();
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
    const target = witnessTarget(`http://${address}/`);
    const asked = what === 'read' ? target.read() : target.deliver(line, nobodyStops);
    asked.catch(() => undefined);
    await begun;
    expect(timeout.mock.calls).toEqual([[10_000]]);
    late.abort(new Error('no answer in time'));
    await expect(asked).rejects.toMatchObject({
      code: 'unavailable',
      message: `http://${address}/: no answer in time`,
    });
  });
});

describe('a witness that is a file', () => {
  it('that is not there is told from one that cannot be read', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'witness-target-'));
    opened.push(() => {
      rmSync(dir, { recursive: true });
    });
    const missing = pathToFileURL(join(dir, 'none')).href;
    await expect(witnessTarget(missing).read()).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining(`the witness ${missing} cannot be read: `) as string,
    });
    const folder = pathToFileURL(dir).href;
    await expect(witnessTarget(folder).read()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

it.each(['heads', 'file://elsewhere/heads', 'ftp://10.0.0.1/heads', '/var/heads'])(
  '%s is no witness',
  (text) => {
    expect(() => witnessTarget(text)).toThrow(
      `a witness is a file:///path or an http(s):// address, not ${text}`,
    );
  },
);
