import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../base/errors.ts';
import { announcing, type TestAuthorityKey } from '../../../pki/announcement-testing.ts';
import type { Certificate } from '../../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, parsePublicKey } from '../../../pki/ssh-key.ts';
import type { UnknownHost } from '../../../ssh/cert-client.ts';
import type { ClusterTrust } from '../trust/cluster-trust.ts';
import { blobOf, foreign, next, old, TestTrust } from '../trust/testing.ts';
import { type HostVerdict, hostTrustBy, type Refusal } from './host-trust.ts';

let here: TestTrust;
beforeEach(async () => {
  here = await TestTrust.open();
});
afterEach(() => {
  here.close();
});

/** A host with a certificate of this authority, as the connection meets it. */
const hostOf = (authority: TestAuthorityKey): UnknownHost => ({
  fingerprint: 'SHA256:host',
  keyBlob: fromAuthorizedKeyLine(foreign.key.sshPublicKey),
  certificate: { ca: parsePublicKey(blobOf(authority)) } as Certificate,
  reason: 'signed by an authority that is not trusted here',
});

/** Connects to hosts in turn: each is let through where the trust knows its authority, or by the verdict. */
function dialling(trust: ClusterTrust, ...hosts: readonly UnknownHost[]) {
  const met: UnknownHost[] = [];
  const attempt = async (verdict: HostVerdict): Promise<string> => {
    const host = hosts[met.length] ?? expect.unreachable();
    met.push(host);
    const authority = host.certificate?.ca.blob;
    if (authority !== undefined && trust.believes(authority)) return 'trusted';
    if (await verdict.accept(host)) return 'accepted';
    throw new CodedError('access_denied', 'handshake failed');
  };
  const explain = (_e: unknown, refusal: Refusal | undefined): Error =>
    new Error(`${refusal?.reason ?? 'no refusal'}: ${refusal?.announced?.renewal.status ?? 'not asked'}`);
  return { attempt, explain, attempts: () => met.length };
}
const nobody = { isKnown: () => false, decide: () => Promise.resolve(false) };

describe('a host of an unknown authority', () => {
  it('is connected to once more when the cluster announces that authority', async () => {
    const { trust, asked } = here.nextCommand(announcing([old, next]));
    const { attempt, explain, attempts } = dialling(trust, hostOf(next), hostOf(next));
    expect(await hostTrustBy(trust, nobody).connect('node', attempt, explain)).toBe('trusted');
    expect([attempts(), asked()]).toEqual([2, 1]);
  });

  it('is refused at once when it does not, and the next one is not asked about again', async () => {
    const { trust, asked } = here.nextCommand(announcing([old, next]));
    const { attempt, explain, attempts } = dialling(trust, hostOf(foreign), hostOf(foreign));
    const hosts = hostTrustBy(trust, nobody);
    for (const count of [1, 2]) {
      await expect(hosts.connect('node', attempt, explain)).rejects.toThrow('not trusted here: renewed');
      expect([attempts(), asked()]).toEqual([count, 1]);
    }
  });

  it('that shows another authority at the second attempt is refused for good', async () => {
    const { trust } = here.nextCommand(announcing([old, next]));
    const { attempt, explain, attempts } = dialling(trust, hostOf(next), hostOf(foreign));
    await expect(hostTrustBy(trust, nobody).connect('node', attempt, explain)).rejects.toThrow('renewed');
    expect(attempts()).toBe(2);
  });

  it('is looked up before a person is asked, and not at all when its key was accepted before', async () => {
    const asks: string[] = [];
    const plain = (known: boolean) => ({
      isKnown: () => known,
      decide: () => {
        asks.push('person');
        return Promise.resolve(true);
      },
    });
    const first = here.nextCommand(announcing([old, next]));
    const rotated = dialling(first.trust, hostOf(next), hostOf(next));
    await hostTrustBy(first.trust, plain(false)).connect('node', rotated.attempt, rotated.explain);
    expect(asks).toEqual([]);
    const second = here.nextCommand(announcing([old, next]));
    const known = dialling(second.trust, hostOf(foreign));
    await hostTrustBy(second.trust, plain(true)).connect('node', known.attempt, known.explain);
    expect([second.asked(), asks]).toEqual([0, []]);
    const strange = dialling(second.trust, hostOf(foreign));
    await hostTrustBy(second.trust, plain(false)).connect('node', strange.attempt, strange.explain);
    expect([second.asked(), asks]).toEqual([1, ['person']]);
  });

  it('is what it takes: one of a known authority that does not fit otherwise is refused at once', async () => {
    const { trust, asked } = here.nextCommand(announcing([old, next]));
    let attempts = 0;
    const otherName = async (verdict: HostVerdict): Promise<string> => {
      attempts++;
      if (await verdict.accept({ ...hostOf(old), reason: 'it is not for this name' })) return 'accepted';
      throw new CodedError('access_denied', 'handshake failed');
    };
    const { explain } = dialling(trust);
    await expect(hostTrustBy(trust, nobody).connect('node', otherName, explain)).rejects.toThrow('not asked');
    expect([attempts, asked()]).toEqual([1, 0]);
  });

  it('with a plain key is not looked up: no announcement is about it', async () => {
    const { trust, asked } = here.nextCommand(announcing([old, next]));
    const plainHost = { ...hostOf(next), certificate: undefined };
    const { attempt, explain } = dialling(trust, plainHost);
    await expect(hostTrustBy(trust, nobody).connect('node', attempt, explain)).rejects.toThrow('not asked');
    expect(asked()).toBe(0);
  });
});
