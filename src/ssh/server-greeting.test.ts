import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { proxyPreamble } from './proxy-preamble.ts';
import { greetClient } from './server-greeting.ts';
import { plainBanners } from './server-banner.ts';

const [plainBanner] = plainBanners;
const client = { host: '192.0.2.1', port: 7 };
const proof = { certificate: Buffer.of(1), signature: Buffer.of(2) };

/** A client that says `text` first. */
function socketOf(text: Buffer | string): { socket: Duplex; written: string[] } {
  const written: string[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString());
      done();
    },
  });
  socket.push(text);
  return { socket, written };
}

describe('the first words of a server', () => {
  it('ask nothing where no proxy is believed', async () => {
    const { socket, written } = socketOf('SSH-2.0-x\r\n');
    expect(await greetClient(socket)).toEqual({
      ...{ banner: plainBanner, claimedAddress: undefined, believedAddress: undefined },
    });
    expect(written).toEqual([`${plainBanner}\r\n`]);
  });

  it('are its own: those of the library, which follow, are dropped, and nothing else', async () => {
    const { socket, written } = socketOf('SSH-2.0-x\r\n');
    await greetClient(socket, () => undefined);
    const before = [...written];
    expect(socket.write(`${plainBanner}\r\n`)).toBe(true);
    expect(written).toEqual(before);
    socket.write(`${plainBanner}\r\n`);
    expect(written).toEqual([...before, `${plainBanner}\r\n`]);
  });

  it('are followed by whatever else comes first', async () => {
    const { socket, written } = socketOf('SSH-2.0-x\r\n');
    await greetClient(socket);
    socket.write('other');
    expect(written).toEqual([`${plainBanner}\r\n`, 'other']);
  });
});

describe('the address that a preamble names', () => {
  it('is believed when it is signed and nobody doubts it', async () => {
    const preamble = proxyPreamble({ client, proof });
    const { socket } = socketOf(Buffer.concat([preamble, Buffer.from('SSH-2.0-x\r\n')]));
    const asked: string[] = [];
    const greeting = await greetClient(socket, (shown, challenge) => {
      expect(shown).toEqual({ client, proof });
      asked.push(challenge);
      return undefined;
    });
    expect(greeting).toMatchObject({ claimedAddress: client, believedAddress: client });
    expect(greeting.banner).toContain(asked[0]);
  });

  it('is told with the balancer that named it', async () => {
    const balancer = { address: { host: '192.0.2.5', port: 4711 }, signature: Buffer.of(1) };
    const preamble = proxyPreamble({ client, proof: { ...proof, balancer } });
    const read = (doubt?: () => undefined): Promise<unknown> => greetClient(socketOf(preamble).socket, doubt);
    expect(await read(() => undefined)).toMatchObject({ balancerAddress: balancer.address });
    expect(await read()).not.toHaveProperty('balancerAddress'); // it is not believed
  });

  it('is asked for by another challenge on each connection', async () => {
    const banners = await Promise.all(
      [1, 2].map(async () => (await greetClient(socketOf('SSH-2.0-x\r\n').socket, () => undefined)).banner),
    );
    expect(banners[0]).not.toBe(banners[1]);
  });

  it('is only a claim when it is not signed, or nobody asked', async () => {
    const claims = { claimedAddress: client, believedAddress: undefined };
    const refuses = (): string => 'no';
    const unsigned = socketOf(proxyPreamble({ client, proof: undefined })).socket;
    expect(await greetClient(unsigned, refuses)).toMatchObject(claims);
    expect(await greetClient(socketOf(proxyPreamble({ client, proof })).socket)).toMatchObject(claims);
  });

  it('that is signed and doubted ends the connection', async () => {
    const { socket } = socketOf(proxyPreamble({ client, proof }));
    await expect(greetClient(socket, () => 'it is not signed well')).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringMatching(/is not believed: it is not signed well$/) as string,
    });
  });
});
