import { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ownCertificate } from './own-certificate.ts';
import { trustedOf } from '../views/authorities.ts';
import { rotateAuthorities } from './authority/rotate-authorities.ts';
import { adminCall, authHostId, openTestAuth, type TestAuth } from './testing.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ hostCertificateTtlMs: 60_000 });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await auth.close();
  await auth.log.close();
});
const names = { hostId: authHostId, nodename: 'auth-1', publicAddresses: ['auth.example.com'] };
/** Lets time pass, and what that begins come to its end. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
}
const leafOf = ({ cert }: SecureContextOptions): X509Certificate => new X509Certificate(cert as string);

describe("an auth server's own certificate", () => {
  it('ends, is renewed before, and no more once the server has stopped', async () => {
    const own = await ownCertificate(auth.deps, names);
    const first = leafOf(own.context as SecureContextOptions);
    expect(first.validToDate.getTime()).toBe(Math.floor(Date.parse(auth.world.now()) / 1000) * 1000 + 60_000);
    const shown: X509Certificate[] = [];
    const keeping = own.keep({ setSecureContext: (context) => shown.push(leafOf(context)) });
    // The authorities as they are.
    await pass(2_000);
    const atFirst = shown.length;
    expect(atFirst).toBe(0);
    auth.world.advance(30_000);
    await pass(2_000);
    expect(shown).toHaveLength(atFirst);
    auth.world.advance(14_000);
    await pass(1_000);
    expect(shown).toHaveLength(atFirst + 1);
    expect(shown.at(-1)?.serialNumber).not.toBe(first.serialNumber);
    expect(shown.at(-1)?.validToDate.getTime()).toBe(first.validToDate.getTime() + 44_000);
    keeping.stop();
    auth.world.advance(60_000);
    await pass(5_000);
    expect(shown).toHaveLength(atFirst + 1);
  });

  it('that cannot be renewed is tried again, and reported each time', async () => {
    const own = await ownCertificate(auth.deps, names);
    const shown: unknown[] = [];
    let isRefused = true;
    const keeping = own.keep({
      setSecureContext: (context) => {
        if (isRefused) throw new Error('no such context');
        shown.push(context);
      },
    });
    auth.world.advance(59_000);
    const reports = (): number =>
      auth.sink.lines.filter((line) => line.includes('could not be renewed; tries again')).length;
    await pass(1_000);
    expect([shown.length, reports()]).toEqual([0, 1]);
    isRefused = false;
    await pass(1_000);
    expect([shown.length, reports()]).toEqual([1, 1]);
    await pass(5_000);
    expect([shown.length, reports()]).toEqual([1, 1]);
    keeping.stop();
  });

  it('is of the key by which servers are known in each phase, and goes with all that are trusted', async () => {
    vi.useRealTimers();
    const own = await ownCertificate(auth.deps, names);
    const shown: SecureContextOptions[] = [];
    const changed: string[] = [];
    const serials: string[] = [];
    const keeping = own.keep({ setSecureContext: (context) => shown.push(context) }, () =>
      changed.push(own.adopted()[1]),
    );
    const before = trustedOf(auth.deps.views.authorities.state(), 'host')[0]?.tlsCertificatePem ?? '';
    const seen: string[] = [];
    for (const phase of ['init', 'update_clients', 'update_servers', 'standby'] as const) {
      await rotateAuthorities(auth.deps, adminCall, {
        ...{ types: ['host'], phase, mode: 'manual', gracePeriodMs: 3_600_000 },
        ...{ force: true, dryRun: false, endSessions: false },
      });
      await expect.poll(() => own.adopted()[1].split(':')[1]).toBe(phase);
      const now = shown.at(-1) ?? expect.unreachable();
      serials.push(leafOf(now).serialNumber);
      const isOld = leafOf(now).checkIssued(new X509Certificate(before)) && isSignedBy(leafOf(now), before);
      seen.push(`${phase}: ${isOld ? 'old' : 'new'}, trusts ${(now.ca as string[]).length - 1}`);
    }
    keeping.stop();
    expect(seen).toEqual([
      'init: old, trusts 2',
      'update_clients: old, trusts 2',
      'update_servers: new, trusts 2',
      'standby: new, trusts 1',
    ]);
    // It is made again where another key is shown, and nowhere else.
    const first = leafOf(own.context as SecureContextOptions).serialNumber;
    expect(serials.map((serial) => [first, serials[2]].indexOf(serial))).toEqual([0, 0, 1, 1]);
    expect(changed.map((mark) => mark.split(':')[1])).toEqual([
      'init',
      'update_clients',
      'update_servers',
      'standby',
    ]);
  });
});

describe('of another authority', () => {
  it('goes with its new keys, as the same certificate', async () => {
    const own = await ownCertificate(auth.deps, names);
    vi.useRealTimers();
    const shown: SecureContextOptions[] = [];
    const keeping = own.keep({ setSecureContext: (context) => shown.push(context) });
    await rotateAuthorities(auth.deps, adminCall, {
      ...{ types: ['user'], phase: 'init', mode: 'manual', gracePeriodMs: 3_600_000 },
      ...{ force: true, dryRun: false, endSessions: false },
    });
    await expect.poll(() => shown.length).toBe(1);
    keeping.stop();
    const [now] = shown;
    if (now === undefined) return expect.unreachable();
    expect(leafOf(now).serialNumber).toBe(leafOf(own.context as SecureContextOptions).serialNumber);
    expect(now.ca).toHaveLength(3);
  });
});
const isSignedBy = (leaf: X509Certificate, caPem: string): boolean =>
  leaf.verify(new X509Certificate(caPem).publicKey);
