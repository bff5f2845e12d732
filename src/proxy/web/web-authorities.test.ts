import { describe, expect, it } from 'vitest';
import type { AuthorityFact } from '../../domain/authority-facts.ts';
import type { AuthorityState } from '../../domain/authority-state.ts';
import { authority } from '../../domain/authority.ts';
import {
  announcedAt,
  announcing,
  testAuthorityKey,
  type TestAuthorityKey,
} from '../../pki/announcement-testing.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { testWeb } from '../testing.ts';

const [old, next] = [testAuthorityKey('old'), testAuthorityKey('next')];
/** The host authority after these steps of a rotation. */
function rotated(steps: readonly ('init' | 'standby')[], announcement = announcing([old])): AuthorityState {
  const step = { rotationId: 'r1', at: announcedAt, by: 'root@auth1' };
  const keyOf = ({ key }: TestAuthorityKey) => ({ ...key, activeFrom: announcedAt });
  const facts: AuthorityFact[] = [
    { type: 'authority.created', data: { type: 'host', clusterName: 'example', keys: [keyOf(old)] } },
    ...steps.map((name): AuthorityFact => {
      if (name === 'standby')
        return {
          type: 'authority.rotation_finished',
          data: { ...step, left: [], keyId: 'next', announcement },
        };
      const begun = { ...step, mode: 'manual', gracePeriodMs: 1000 } as const;
      return {
        type: 'authority.rotation_started',
        data: { ...begun, key: keyOf(next), announcement },
      };
    }),
  ];
  return facts.reduce((state, fact) => authority.evolve(state, fact), authority.initial);
}

describe('asking a proxy for the keys of its cluster', () => {
  const ask = async (hostAuthority: AuthorityState): Promise<unknown> => {
    const web = testWeb({ hostAuthority: () => hostAuthority });
    const answer = await web.request('/v1/webapi/authorities');
    expect([answer.status, web.auth.asked]).toEqual([200, []]);
    return answer.json();
  };
  it('has nothing to announce before the first rotation, and before it knows its cluster', async () => {
    const nothing = { cluster_name: 'example', host: { withdrawn: [] } };
    expect(await ask(authority.initial)).toEqual(nothing);
    expect(await ask(rotated([]))).toEqual(nothing);
  });
  it('gives the announcement as it was signed, and what was withdrawn, but not by whom', async () => {
    const announcement = announcing([old, next]);
    expect(await ask(rotated(['init'], announcement))).toEqual({
      cluster_name: 'example',
      host: { announcement, withdrawn: [] },
    });
    expect(await ask(rotated(['init', 'standby'], announcement))).toEqual({
      cluster_name: 'example',
      host: {
        announcement,
        withdrawn: [
          {
            fingerprint: fingerprint(fromAuthorizedKeyLine(old.key.sshPublicKey)),
            ca_pin: caPinOf(old.key.tlsCertificatePem),
            at: announcedAt,
            why: 'rotated',
          },
        ],
      },
    });
  });
});
