import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../base/errors.ts';
import { plusMs } from '../../../base/time.ts';
import { announcing } from '../../../pki/announcement-testing.ts';
import { testIo, testLogin, testNow } from '../testing.ts';
import { ClusterTrust } from './cluster-trust.ts';
import { answerOf, foreign, next, now, old, TestTrust, third, trustedIn } from './testing.ts';
import type { HostKeys } from './judge-announcement.ts';
import { identityFileTrust, storedTrust } from './trust-stores.ts';

let here: TestTrust;
beforeEach(async () => {
  here = await TestTrust.open();
});
afterEach(() => {
  here.close();
});

describe('what a machine believes of a cluster that rotates', () => {
  it('follows the announcement from a key it knows, in this command and, by the files, in the next', async () => {
    const { trust, asked } = here.nextCommand(announcing([next, old]));
    expect(trustedIn(trust)).toEqual(['old']);
    const both = await Promise.all([trust.renew(), trust.renew()]);
    expect(both.map(({ renewal }) => renewal.status)).toEqual(['renewed', 'renewed']);
    expect([trustedIn(trust), asked()]).toEqual([['old', 'next'], 1]);
    expect(trust.tlsCasPem()).toHaveLength(2);

    const later = here.nextCommand(undefined).trust;
    expect([trustedIn(later), later.tlsCasPem().length]).toEqual([['old', 'next'], 2]);
    expect(readFileSync(join(here.directory, 'known_hosts'), 'utf8').match(/clustername=\w+/g)).toEqual([
      'clustername=leaf',
      'clustername=example',
      'clustername=example',
    ]);
  });

  it('drops the keys that are announced no longer, whoever vouches for that', async () => {
    await here.nextCommand(announcing([next, old])).trust.renew();
    const alone = announcing([next], { number: 2, until: undefined });
    const { trust } = here.nextCommand(alone);
    expect((await trust.renew()).renewal.status).toBe('renewed');
    expect(trustedIn(trust)).toEqual(['next']);
    expect(trustedIn(here.nextCommand(undefined).trust)).toEqual(['next']);
    expect((await here.nextCommand(alone).trust.renew()).renewal).toEqual({ status: 'current', number: 2 });
  });

  it('is the same after a rollback: the new key goes, and a rotation after it is followed', async () => {
    await here.nextCommand(announcing([old, next])).trust.renew();
    await here.nextCommand(announcing([old], { number: 2 })).trust.renew();
    expect(trustedIn(here.nextCommand(undefined).trust)).toEqual(['old']);
    await here.nextCommand(announcing([old, third], { number: 3 })).trust.renew();
    expect(trustedIn(here.nextCommand(undefined).trust)).toEqual(['old', 'third']);
  });

  it('keeps no keys of a cluster against another proxy, which led there before', () => {
    const profile = { ...testLogin().profile, proxyHost: 'second' };
    const store = storedTrust(here.home, profile, here.identity(), 'leaf');
    const { sshPublicKey, tlsCertificatePem } = foreign.key;
    const keep = (keys: HostKeys): void => {
      store.keep({ status: 'renewed', number: 0, keys }, now);
    };
    expect(() => {
      keep({ sshKeys: [sshPublicKey], tlsCasPem: [tlsCertificatePem] });
    }).toThrow("cluster 'leaf' is known from the proxy proxy, with other authorities");
    expect([store.read().keys.sshKeys, store.isDue(now)]).toEqual([[], true]);
    mkdirSync(join(here.directory, 'keys', 'second'), { recursive: true });
    keep(storedTrust(here.home, testLogin().profile, here.identity(), 'leaf').read().keys);
    expect(store.read().keys.sshKeys).toHaveLength(1);
    expect(store.isDue(now)).toBe(false);
  });

  it('goes on in memory where nothing can be written, and reports that', async () => {
    const identity = here.identity();
    const io = testIo(here.directory, now);
    const store = {
      ...storedTrust(here.home, testLogin().profile, identity),
      keep: () => {
        throw new Error('read-only file system');
      },
    };
    const announced = () => Promise.resolve(answerOf(announcing([old, next])));
    const trust = new ClusterTrust(identity, { store, announced }, io);
    await trust.renew();
    expect(trustedIn(trust)).toEqual(['old', 'next']);
    expect(io.err()).toContain('cannot be stored: read-only file system');
  });

  it('of an identity file is followed in memory, and the file is left', async () => {
    const identity = here.identity();
    const before = here.files();
    const announced = () => Promise.resolve(answerOf(announcing([old, next])));
    const given = { store: identityFileTrust(identity), announced };
    const trust = new ClusterTrust(identity, given, testIo(here.directory, now));
    expect((await trust.renew()).renewal.status).toBe('renewed');
    expect(trustedIn(trust)).toEqual(['old', 'next']);
    expect(here.files()).toEqual(before);
  });
});

describe('asking every now and then', () => {
  it('happens after ten minutes, and when the clock was set back', async () => {
    const asks = async (at: string): Promise<number> => {
      const { trust, asked } = here.nextCommand(undefined, at);
      await trust.renewWhenDue();
      return asked();
    };
    const login = testNow;
    expect(await asks(plusMs(login, 599_000))).toBe(0);
    expect(await asks(plusMs(login, 600_000))).toBe(1);
    expect(await asks(plusMs(login, 601_000))).toBe(0);
    expect(await asks(plusMs(login, 599_000))).toBe(1);
  });

  it('is no trouble where the web port is away, and is not repeated at once', async () => {
    const away = () => Promise.reject(new CodedError('unavailable', 'cannot reach the proxy'));
    const first = here.nextCommand(away);
    await first.trust.renewWhenDue();
    expect([first.asked(), first.io.err()]).toEqual([1, '']);
    const second = here.nextCommand(away);
    await second.trust.renewWhenDue();
    expect(second.asked()).toBe(0);
  });

  it('warns of an announcement that is not accepted, and of a file that is damaged', async () => {
    const forged = here.nextCommand(announcing([foreign]));
    await forged.trust.renewWhenDue();
    expect(forged.io.err()).toMatch(
      /^WARNING: .*no key that is trusted here has signed it. Nothing was changed/,
    );
    writeFileSync(join(here.directory, 'proxy.learnt'), '{"number":-1}');
    const damaged = here.nextCommand(undefined);
    await damaged.trust.renewWhenDue();
    expect(damaged.io.err()).toMatch(/^WARNING: .*proxy\.learnt cannot be used/);
  });
});
