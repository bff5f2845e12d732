import { describe, expect, it } from 'vitest';
import { followingOf } from './following.ts';
import { authorityRows, hostTable, progressText, statusText } from './rotation-text.ts';
import { laggingNode, rotationInInit } from './testing.ts';

const trimmed = (text: string): string => text.replace(/ +$/gm, '');
const times = '(mode: manual, started: Nov 22 19:49:26 UTC, ending: Nov 24 01:49:26 UTC)';

describe('the lines of an authority in tctl status', () => {
  it('are the one of 4.4 while nothing is under way and every host follows', () => {
    const standby = { phase: 'standby', underWay: undefined } as const;
    expect(authorityRows(rotationInInit(standby), false)).toEqual([['User CA', 'never updated']]);
    const rotated = { ...standby, lastRotatedAt: '2026-11-22T19:50:54.000Z', type: 'host' } as const;
    expect(authorityRows(rotationInInit(rotated), true)).toEqual([
      ['Host CA', 'rotated Nov 22 19:50:54 UTC'],
    ]);
  });

  it('report hosts that have not followed to the end', () => {
    const rotation = rotationInInit({
      phase: 'standby',
      underWay: undefined,
      lastRotatedAt: '2026-11-22T19:50:54.000Z',
      alive: 1207,
      acknowledged: 1204,
    });
    expect(authorityRows(rotation, false)).toEqual([
      ['User CA', 'rotated Nov 22 19:50:54 UTC'],
      ['', '1,204 of 1,207 hosts have it: see "tctl auth rotate --status"'],
    ]);
  });

  it('have how far hosts follow and what is next while a rotation is under way', () => {
    expect(authorityRows(rotationInInit({ alive: 1207, acknowledged: 1204 }), true)).toEqual([
      ['User CA', `initialized ${times}`],
      [
        '',
        '1,204 of 1,207 hosts have it; next: update_clients, by tctl auth rotate --type=user --phase=update_clients',
      ],
    ]);
  });

  it('have the schedule of an automatic one, where it is wanted', () => {
    const { underWay } = rotationInInit();
    if (underWay === undefined) throw new Error('expected a rotation');
    const auto = { ...underWay, mode: 'auto', nextAt: '2026-11-23T05:49:26.000Z' } as const;
    const rotation = rotationInInit({ underWay: auto, acknowledged: 1 });
    const [first, second] = authorityRows(rotation, true);
    expect(first?.[1]).toBe(
      'initialized (mode: auto, started: Nov 22 19:49:26 UTC, ending: Nov 24 01:49:26 UTC), update_clients: Nov 23 05:49:26 UTC, update_servers: Nov 23 15:49:26 UTC, complete: Nov 24 01:49:26 UTC',
    );
    expect(second?.[1]).toBe(
      '1 of 4 hosts has it; next: update_clients at Nov 23 05:49:26 UTC, once all have it',
    );
    expect(authorityRows(rotation, false)[0]?.[1]).not.toContain('complete');
  });
});

describe('what auth rotate --status prints', () => {
  it('has that sessions end with the old key, where the rotation was begun so', () => {
    const { underWay } = rotationInInit();
    if (underWay === undefined) throw new Error('expected a rotation');
    const line = /^Sessions +those that began under the old key end with it$/m;
    expect(trimmed(statusText(rotationInInit({ underWay: { ...underWay, endSessions: true } })))).toMatch(
      line,
    );
    expect(trimmed(statusText(rotationInInit()))).not.toMatch(line);
  });

  it('is where the rotation stands, and a table of those who lack it', () => {
    const rotation = rotationInInit({
      acknowledged: 2,
      lagging: [
        laggingNode('db1', { acknowledged: 'standby' }),
        laggingNode('old1', {
          role: 'Proxy',
          version: '0.9.0',
          reason: 'its release knows of no rotation: upgrade it',
        }),
      ],
    });
    expect(trimmed(statusText(rotation))).toBe(`User CA  initialized ${times}
Phase    init, since Nov 22 19:49:26 UTC by admin
Mode     manual, started Nov 22 19:49:26 UTC, ending Nov 24 01:49:26 UTC
Next     update_clients, by tctl auth rotate --type=user --phase=update_clients
Back     tctl auth rotate --type=user --phase=rollback
Hosts    2 of 4 hosts have it

Nodename Role  Version Address        Last seen           Phase   Reason
-------- ----- ------- -------------- ------------------- ------- --------------------------------------------
db1      Node  1.0.0   192.0.2.7:3022 Nov 22 19:50:54 UTC standby
old1     Proxy 0.9.0   192.0.2.7:3022 Nov 22 19:50:54 UTC none    its release knows of no rotation: upgrade it
`);
  });

  it('names no way back from a rollback', () => {
    const { underWay } = rotationInInit();
    if (underWay === undefined) throw new Error('expected a rotation');
    const rotation = rotationInInit({ phase: 'rollback', underWay: { ...underWay, next: 'standby' } });
    expect(statusText(rotation)).not.toContain('Back');
    expect(statusText(rotation)).toContain('--phase=standby');
  });

  it('counts those whom it does not name', () => {
    expect(hostTable([laggingNode('a')], 1201)).toMatch(/\nand 1,200 more\n$/);
  });

  it('lets no name steer the terminal', () => {
    expect(statusText(rotationInInit({ lagging: [laggingNode('a\u001b[2J')] }))).not.toContain('\u001b');
  });
});

describe('who is waited for, in one line', () => {
  it('names some, and counts each machine and role once over both authorities', () => {
    const hosts = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => laggingNode(name));
    const rotations = [
      rotationInInit({ alive: 9, acknowledged: 2, lagging: hosts }),
      rotationInInit({ type: 'host', alive: 9, acknowledged: 8, lagging: hosts.slice(0, 1) }),
    ];
    expect(progressText(followingOf(rotations))).toBe(
      '2 of 9 hosts have init; waiting for a (Node), b (Node), c (Node), d (Node), e (Node) and 2 more',
    );
  });

  it('is short when nobody is', () => {
    expect(progressText(followingOf([rotationInInit()]))).toBe('4 of 4 hosts have init');
  });
});
