import { PassThrough } from 'node:stream';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parsePreamble } from '../../ssh/proxy-preamble.ts';
import { plainBanners } from '../../ssh/server-banner.ts';
import { greetNode, type Introduction } from './node-hello.ts';

const client = { host: '192.0.2.1', port: 5678 };
const introduction: Introduction = {
  client,
  hostId: 'node-id',
  signClient: ({ challenge, hostId }) => ({
    client,
    proof: { certificate: Buffer.from('cert'), signature: Buffer.from(`${challenge} for ${hostId}`) },
  }),
};
const askingOf = (banner: string): string => `${banner} ask-client-address:${'ab'.repeat(16)}\r\n`;
const asking = askingOf('SSH-2.0-OpenSSH_Teleport');

/** A node: `says` is what it sends, `heard` what it was sent. */
function fakeNode(): { stream: Duplex; says: PassThrough; heard: () => string } {
  const says = new PassThrough();
  const hears = new PassThrough();
  const stream = Duplex.from({ readable: says, writable: hears });
  stream.on('error', () => undefined);
  return { stream, says, heard: () => (hears.read() as Buffer | null)?.toString('latin1') ?? '' };
}
const next = (stream: Duplex): Promise<string> =>
  new Promise((resolve) =>
    stream.once('data', (chunk: Buffer) => {
      resolve(chunk.toString());
    }),
  );

describe('greeting a node', () => {
  it.each(plainBanners)(
    'tells %s the true client before anything else, and gives its banner back',
    async (banner) => {
      const { stream, says, heard } = fakeNode();
      says.write(`${banner}\r\n`);
      await greetNode(stream, introduction);
      expect(heard()).toBe('Teleport-Proxy{"clientAddr":"192.0.2.1:5678"}\0');
      expect(await next(stream)).toBe(`${banner}\r\n`);
    },
  );
  it.each(plainBanners)('signs for %s that asks, for this connection and this node', async (banner) => {
    const asking = askingOf(banner);
    const { stream, says, heard } = fakeNode();
    says.write(asking);
    await greetNode(stream, introduction);
    const reading = parsePreamble(Buffer.from(heard(), 'latin1'));
    expect(reading).toMatchObject({
      status: 'found',
      preamble: { client, proof: { signature: Buffer.from(`${'ab'.repeat(16)} for node-id`) } },
    });
    expect(await next(stream)).toBe(asking);
  });
  it('signs nothing for what is no node, whatever it asks', async () => {
    const { stream, says, heard } = fakeNode();
    says.write(asking);
    await greetNode(stream, { ...introduction, hostId: undefined });
    expect(heard()).toBe('Teleport-Proxy{"clientAddr":"192.0.2.1:5678"}\0');
  });
  it('tells a plain OpenSSH server nothing', async () => {
    const { stream, says, heard } = fakeNode();
    says.write('SSH-2.0-OpenSSH_9.2\r\n');
    await greetNode(stream, { ...introduction, hostId: undefined });
    expect(heard()).toBe('');
    expect(await next(stream)).toBe('SSH-2.0-OpenSSH_9.2\r\n');
  });
  it.each([
    'SSH-2.0-OpenSSH_9.2\r\n',
    'SSH-2.0-OpenSSH_Teleporter\r\n',
    'SSH-2.0-OpenSSH_Tele\r\n',
    `SSH-2.0-OpenSSH_Teleport ${'x'.repeat(300)}`,
  ])('refuses another SSH server in the place of a node: %j', async (banner) => {
    const { stream, says } = fakeNode();
    says.write(banner);
    await expect(greetNode(stream, introduction)).rejects.toThrow(/not a node of a cluster$/);
    expect(stream.destroyed).toBe(true);
  });
  it('loses no byte, however the banner is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 12 }), async (cuts) => {
        const { stream, says, heard } = fakeNode();
        const banner = `${asking}and more`;
        const greeted = greetNode(stream, introduction);
        let at = 0;
        for (const cut of [...cuts, banner.length]) {
          if (at < banner.length) says.write(banner.slice(at, at + cut));
          at += cut;
          await new Promise((resolve) => setImmediate(resolve));
        }
        says.end();
        await greeted;
        expect(heard()).toMatch(/^Teleport-Proxy\{/);
        let all = '';
        for await (const chunk of stream) all += String(chunk);
        expect(all).toBe(banner);
      }),
      { numRuns: 30 },
    );
  });
  it.each(['HTTP/1.1 400 Bad Request', '220 mail', '\u0016\u0003\u0001', 'SSH', 'SSX'])(
    'refuses what says %j and no more',
    async (said) => {
      const { stream, says } = fakeNode();
      says.end(said);
      await expect(greetNode(stream, introduction)).rejects.toMatchObject({ code: 'unavailable' });
      expect(stream.destroyed).toBe(true);
    },
  );
  it('refuses what is no SSH server at its first wrong byte, without waiting for more', async () => {
    const { stream, says } = fakeNode();
    says.write('H');
    await expect(greetNode(stream, introduction)).rejects.toThrow('what answers there is not an SSH server');
  });
  it('refuses a stream that is gone', async () => {
    const { stream } = fakeNode();
    stream.destroy();
    await expect(greetNode(stream, introduction)).rejects.toThrow(/closed the connection/);
  });

  describe('that says nothing', () => {
    beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
    afterEach(() => vi.useRealTimers());
    it('gives up', async () => {
      const { stream } = fakeNode();
      const greeted = expect(greetNode(stream, introduction)).rejects.toThrow(
        'the node sent nothing within 10 s',
      );
      vi.advanceTimersByTime(10_000);
      await greeted;
      expect(stream.destroyed).toBe(true);
    });
  });
});
