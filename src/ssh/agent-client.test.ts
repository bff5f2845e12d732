import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { publicKeyOf, signSsh } from '../pki/ssh-key.ts';
import { mpint, Reader, str, u32 } from '../pki/wire.ts';
import { agentComment, SshAgent } from './agent-client.ts';
import { testCertificate, testIdentity } from './testing.ts';

const open: { server: Server; folder: string }[] = [];
afterEach(async () => {
  for (const { server, folder } of open.splice(0)) {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
});

/** An agent at a socket that answers each question by `answer`; undefined: it hangs up. Pieces of 3 bytes. */
async function agent(
  answer: (question: Buffer) => Buffer | undefined,
): Promise<{ agent: SshAgent; questions: Buffer[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const path = join(folder, 'socket');
  const questions: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // who asked has left
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return;
      const question = received.subarray(4);
      questions.push(question);
      const said = answer(question);
      if (said === undefined) socket.destroy();
      else for (let at = 0; at < said.length; at += 3) socket.write(said.subarray(at, at + 3));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  open.push({ server, folder });
  return { agent: new SshAgent(path), questions };
}
const says = (type: number, ...fields: Buffer[]): Buffer => str(Buffer.concat([Buffer.of(type), ...fields]));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const success = says(6);
const failure = says(5);

describe('the keys of an agent', () => {
  it('are all that it lists, in its order, and sign by it', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const { blob } = publicKeyOf(privateKey);
    const signature = signSsh(privateKey, 'ssh-ed25519', Buffer.from('data'));
    const { agent: asked, questions } = await agent((question) =>
      question[0] === 11
        ? says(12, u32(2), str(blob), str('first'), str(testIdentity().blob), str('ä'))
        : says(14, str(signature)),
    );
    const identities = await asked.identities();
    expect(identities.map(({ comment }) => comment)).toEqual(['first', 'ä']);
    expect(identities[0]?.blob).toEqual(blob);
    expect(await identities[0]?.sign('ssh-ed25519', Buffer.from('data'))).toEqual(signature);
    expect(questions).toEqual([
      Buffer.of(11),
      Buffer.concat([Buffer.of(13), str(blob), str('data'), u32(0)]),
    ]);
  });

  it.each([
    ['rsa-sha2-256', 2],
    ['rsa-sha2-512', 4],
  ] as const)('sign with %s where it is asked for', async (algorithm, flags) => {
    const { agent: asked, questions } = await agent(() =>
      says(14, str(Buffer.concat([str(algorithm), str('x')]))),
    );
    await asked.sign(Buffer.from('blob'), algorithm, Buffer.from('data'));
    expect(questions[0]?.readUInt32BE(questions[0].length - 4)).toBe(flags);
  });

  it('that sign with another algorithm are of no use', async () => {
    const { agent: asked } = await agent(() => says(14, str(Buffer.concat([str('ssh-rsa'), str('x')]))));
    await expect(asked.sign(Buffer.from('blob'), 'rsa-sha2-256', Buffer.from('data'))).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the ssh agent does not sign with rsa-sha2-256',
    });
  });

  it.each([
    ['that refuses', failure, 'the ssh agent refused to list its keys'],
    ['that says nothing', str(''), 'the ssh agent sent a malformed answer'],
    ['that lists less than it says', says(12, u32(1)), 'the ssh agent sent a malformed answer'],
    ['that says too much', u32(256 * 1024 + 1), /cannot be used: the answer is too large$/],
    ['that hangs up', undefined, /cannot be used: it hung up$/],
  ])('are none of an agent %s', async (_what, answer, message) => {
    const { agent: asked } = await agent(() => answer);
    await expect(asked.identities()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(asked.identities()).rejects.toThrow(message);
    const troubles: string[] = [];
    expect(await asked.identitiesOrNone((reason) => troubles.push(reason))).toEqual([]);
    expect(troubles).toEqual([expect.stringMatching(message)]);
  });

  it('may take as much room as an answer may', async () => {
    const comment = 'x'.repeat(256 * 1024 - 17);
    const most = says(12, u32(1), str('blob'), str(comment));
    expect(most).toHaveLength(4 + 256 * 1024);
    const { agent: asked } = await agent(() => most);
    expect(await asked.identities()).toEqual([expect.objectContaining({ comment })]);
  });

  it('are none where there is no agent', async () => {
    const asked = new SshAgent('/nonexistent/agent');
    await expect(asked.identities()).rejects.toThrow(
      /^the ssh agent at \/nonexistent\/agent cannot be used: .*ENOENT/,
    );
  });
});

describe('adding a key', () => {
  /** The private half that an agent was given, read back. */
  const read = (type: string, r: Reader): Buffer[] => {
    const fields = { 'ssh-ed25519': 2, 'ecdsa-sha2-nistp256': 3, 'ssh-rsa': 6 }[type] ?? 0;
    return Array.from({ length: fields }, () => Buffer.from(r.bytes()));
  };
  const jwkOf = (key: KeyObject): Record<string, string> =>
    key.export({ format: 'jwk' }) as Record<string, string>;
  const part = (key: KeyObject, name: string): Buffer => Buffer.from(jwkOf(key)[name] ?? '', 'base64url');

  it.each([
    ['ed25519', () => generateKeyPairSync('ed25519').privateKey, 'ssh-ed25519'],
    [
      'an elliptic curve',
      () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      'ecdsa-sha2-nistp256',
    ],
    ['RSA', () => rsa, 'ssh-rsa'],
  ])('of %s gives the agent its private half', async (_what, generate, type) => {
    const privateKey = generate();
    const { agent: asked, questions } = await agent(() => success);
    await asked.add({ privateKey, comment: 'c' });
    const r = new Reader(questions[0] ?? Buffer.alloc(0));
    expect([r.u8(), r.text()]).toEqual([17, type]);
    const fields = read(type, r);
    expect(r.text()).toBe('c');
    r.end();
    const field = (name: string): Buffer => new Reader(mpint(part(privateKey, name))).bytes();
    if (type === 'ssh-ed25519') {
      const x = part(privateKey, 'x');
      expect(fields).toEqual([x, Buffer.concat([part(privateKey, 'd'), x])]);
    } else if (type === 'ssh-rsa') expect(fields).toEqual(['n', 'e', 'd', 'qi', 'p', 'q'].map(field));
    else {
      const point = Buffer.concat([Buffer.of(4), part(privateKey, 'x'), part(privateKey, 'y')]);
      expect(fields).toEqual([Buffer.from('nistp256'), point, field('d')]);
    }
  });

  it.each([
    ['ed25519', () => generateKeyPairSync('ed25519').privateKey, 2],
    ['an elliptic curve', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 1],
    ['RSA', () => rsa, 4],
  ])(
    'of %s with its certificate says the public half once, and for how long it is held',
    async (_what, generate, count) => {
      const privateKey = generate();
      const certificate = testCertificate({ kind: 'user', key: publicKeyOf(privateKey) });
      const { agent: asked, questions } = await agent(() => success);
      await asked.add({ privateKey, certificate, comment: 'c', lifetimeSeconds: 7 });
      const r = new Reader(questions[0] ?? Buffer.alloc(0));
      expect(r.u8()).toBe(25);
      expect(r.text()).toBe(`${publicKeyOf(privateKey).type}-cert-v01@openssh.com`);
      expect(Buffer.from(r.bytes())).toEqual(certificate);
      for (let n = 0; n < count; n++) r.bytes();
      expect([r.text(), r.u8(), r.u32()]).toEqual(['c', 1, 7]);
      r.end();
    },
  );

  it('that no agent can hold is refused before it is asked', async () => {
    const { agent: asked, questions } = await agent(() => success);
    const { privateKey } = generateKeyPairSync('x25519');
    await expect(asked.add({ privateKey, comment: '' })).rejects.toBeInstanceOf(CodedError);
    expect(questions).toEqual([]);
  });

  it('that the agent refuses fails', async () => {
    const { agent: asked } = await agent(() => failure);
    const { privateKey } = generateKeyPairSync('ed25519');
    await expect(asked.add({ privateKey, comment: '' })).rejects.toThrow(
      'the ssh agent refused to add the key',
    );
  });
});

it('a key is removed by what it shows', async () => {
  const { agent: asked, questions } = await agent((question) => (question.length > 10 ? success : failure));
  await asked.remove(Buffer.from('a blob'));
  expect(questions).toEqual([Buffer.concat([Buffer.of(18), str('a blob')])]);
  await expect(asked.remove(Buffer.from('x'))).rejects.toThrow('the ssh agent refused to remove the key');
});

it.each([
  [{}, undefined],
  [{ SSH_AUTH_SOCK: '' }, undefined],
  [{ SSH_AUTH_SOCK: '/a' }, '/a'],
])('the agent of the environment %j is at %s', (environment, path) => {
  expect(SshAgent.of(environment)?.path).toBe(path);
});

it('our keys stand in an agent under a comment of ours', () => {
  expect(agentComment('ann')).toBe('teleport:ann');
});
