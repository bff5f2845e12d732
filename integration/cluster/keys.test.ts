import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { arnOf, type StandIn, startStandIn } from '../../backends/kms/stand-in.ts';
import { type AuthPair, authPair, keyIdsIn } from '../harness/auth-pair.ts';
import { until } from '../harness/run-program.ts';

let pair: AuthPair;
beforeEach(async () => {
  pair = await authPair();
});
afterEach(() => pair.close());

const pinIn = (status: string): string | undefined => /sha256:[0-9a-f]{64}/.exec(status)?.[0];

describe('tctl log rekey, while both serve', () => {
  it('puts all under a new key, then removes the old one, and nobody notices', async () => {
    pair.a.spawn();
    pair.b.spawn();
    await Promise.all([pair.a.ready(), pair.b.ready()]);
    const keyring = join(pair.dir, 'keyring');
    const [old = ''] = keyIdsIn(keyring);
    await pair.a.must('users', 'add', 'before');
    const [said] = await Promise.all([pair.a.must('log', 'rekey'), pair.b.must('users', 'add', 'meanwhile')]);
    const [, fresh = ''] = keyIdsIn(keyring);
    expect(said).toContain(`${fresh} seals now`);
    await pair.b.must('users', 'add', 'after');
    expect(await pair.b.must('log', 'rekey', '--dry-run')).toMatch(new RegExp(`^${fresh}  \\d+ data keys`));
    await pair.b.must('log', 'rekey', '--remove-old');
    expect(keyIdsIn(keyring)).toEqual([fresh]);
    expect(await pair.a.must('log', 'rekey', '--dry-run')).not.toContain(old);
    await pair.a.stop();
    await pair.a.start();
    expect(pinIn(await pair.a.must('status'))).toBe(pinIn(await pair.b.must('status')));
    for (const name of ['before', 'meanwhile', 'after']) await pair.a.must('users', 'reset', name);
  });

  it('with keyring files that are copied: adds, uses and removes step by step', async () => {
    await pair.a.start();
    const keyring = join(pair.dir, 'keyring');
    const [old = ''] = keyIdsIn(keyring);
    const id = /--use=([0-9a-f]{16})/.exec(await pair.a.must('log', 'rekey', '--prepare'))?.[1] ?? '';
    expect(keyIdsIn(keyring)).toEqual([id, old]);
    await pair.a.must('log', 'rekey', `--use=${id}`);
    expect(keyIdsIn(keyring)).toEqual([old, id]);
    await pair.a.must('log', 'rekey', '--remove-old');
    expect(keyIdsIn(keyring)).toEqual([id]);
    const { code, stderr } = await pair.a.tctl('log', 'rekey', '--use=0123456789abcdef');
    expect([code, stderr]).toEqual([1, expect.stringContaining('has no key 0123456789abcdef')]);
    expect(readdirSync(pair.dir).filter((name) => name.startsWith('keyring'))).toEqual(['keyring']);
  });
});

describe('a cluster whose keys move from a file to a key service', () => {
  let kms: StandIn;
  beforeEach(async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    kms = await startStandIn(['one']);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await kms.close();
  });

  it('serves all the while, and starts without the file in the end', async () => {
    const { a, b } = pair;
    const keyFile = join(pair.dir, 'keyring');
    const service = `kms_region: eu-test-1, kms_endpoint: "${kms.endpoint}"`;
    await a.start();
    const pin = pinIn(await a.must('status'));
    // First every auth server opens by the new key, then they seal under it one after the other.
    b.configure({ storage: `key_file: ${keyFile}, previous_kms_key_id: one, ${service}` });
    await b.start();
    await a.stop();
    a.configure({ storage: `kms_key_id: one, previous_key_file: ${keyFile}, ${service}` });
    await a.start();
    await a.must('users', 'add', 'joe');
    await b.must('users', 'reset', 'joe');
    expect(await a.must('log', 'rekey')).toContain(`${arnOf('one')} seals now`);
    await b.must('users', 'reset', 'joe');
    await Promise.all([a.stop(), b.stop()]);

    for (const one of [a, b]) one.configure({ storage: `kms_key_id: one, ${service}` });
    await a.start();
    expect(pinIn(await a.must('status'))).toBe(pin);
    expect(kms.calls.every(({ body }) => body.EncryptionContext?.['purpose'] === 'teleport-log')).toBe(true);

    kms.fail = 'DisabledException';
    b.spawn();
    await until('auth-b to end', () => b.exited());
    expect(b.output()).toContain('the key is disabled: enable it');
    // What serves goes on, but for what needs the service.
    expect(await a.must('users', 'ls')).toContain('joe');
    const { code, stderr } = await a.tctl('users', 'add', 'amy');
    expect([code, stderr]).toEqual([1, expect.stringContaining('the key is disabled')]);
  });
});
