import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { testIo } from '../../tsh/testing.ts';
import { main } from '../main.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tctl-auth-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const tctl = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
  const io = testIo(folder);
  const code = await main(argv, io);
  return { code, out: io.out(), err: io.err() };
};

describe('tctl auth sign', () => {
  it.each([
    [['--user=joe', '--format=kubernetes'], 'no proxy of it serves a Kubernetes cluster'],
    [['--user=joe', '--host=a'], '--user or --host must be specified'],
    [[], '--user or --host must be specified'],
    [['--user=joe', '--proxy=a'], '--format=kubernetes'],
    [['--host=web.example.com', '--format=tls'], '--format=openssh, not tls'],
    [['--host=web.example.com', '--no-admin'], '--compat and --admin are for --user'],
    [['--host=, ,'], '--host: names are missing'],
    [['--user=joe', '--ttl=soon'], '--ttl: '],
  ])('refuses %j before it asks anybody, and writes nothing', async (args, why) => {
    const out = join(folder, 'never');
    const refused = await tctl('auth', 'sign', ...args, '--out', out);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(why);
    expect([out, `${out}-cert.pub`].some((path) => existsSync(path))).toBe(false);
  });
});

describe('tctl auth export', () => {
  it.each([
    [['--fingerprint=MD5:00'], '--fingerprint: expected SHA256:'],
    [['--compat=2.0'], "enum value must be one of 1.0, got '2.0'"],
    [['--compat=1.0', '--type=tls'], '--compat is for public keys of SSH'],
  ])('refuses %j before it asks anybody', async (args, why) => {
    const refused = await tctl('auth', 'export', ...args);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(why);
  });
});

describe('tctl auth gen', () => {
  it('writes a key pair for its owner alone', async () => {
    const [publicPath, privatePath] = [join(folder, 'k.pub'), join(folder, 'k')];
    const made = await tctl('auth', 'gen', '--pub-key', publicPath, '--priv-key', privatePath);
    expect(made.code).toBe(0);
    const key = decodeOpensshPrivateKey(readFileSync(privatePath, 'utf8'));
    const line = toAuthorizedKeyLine(publicKeyOf(key).blob);
    expect(readFileSync(publicPath, 'utf8').trim()).toBe(line.trim());
    expect(statSync(privatePath).mode & 0o777).toBe(0o600);
  });
});

describe('an identity file', () => {
  it('is refused by what reads the store, rather than ignored', async () => {
    const refused = await tctl('-i', join(folder, 'any.pem'), 'log', 'tail');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('-i/--identity cannot be used with log tail');
  });
  it('that is not there is named', async () => {
    const refused = await tctl('-i', join(folder, 'any.pem'), 'status');
    expect(refused.err).toMatch(/identity file: .*any\.pem/);
  });
  it('is what --insecure needs', async () => {
    expect((await tctl('--insecure', 'status')).err).toContain(
      '--insecure is for the web certificate of a proxy',
    );
  });
});
