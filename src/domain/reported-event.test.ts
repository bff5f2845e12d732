import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs } from '../base/time.ts';
import { auditEvent, type ParsedAuditEvent, parsedAuditEvent } from './audit-event.ts';
import { type Arrival, asReported, type Reporter, reportedSkewMs } from './reported-event.ts';

const at = '2026-03-01T12:00:00.000Z';
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const reporter: Reporter = {
  role: 'Node',
  hostId: uuid(1),
  joinedAt: '2026-02-01T00:00:00.000Z',
  known: { nodename: 'n1', reachability: { status: 'direct', address: '10.0.0.1:3022' } },
};
const arrival: Arrival = { at, requestId: uuid(2), isUser: (name) => name === 'alice' };
const told = (extra: object = {}): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'exec',
    code: 'T3002I',
    uid: uuid(3),
    time: plusMs(at, -minute),
    ei: 0,
    ...extra,
  });
const stored = (extra: object = {}, by: Partial<Reporter> = {}): ParsedAuditEvent =>
  asReported(told(extra), { ...reporter, ...by }, arrival);

const isBelievable = (moment: string): boolean =>
  moment >= '2026-01-31T18:00:00.000Z' && moment <= plusMs(at, reportedSkewMs);

describe('an event that a machine reports', () => {
  it('says by whom it was told, from which machine and when it arrived, and is else as it was told', () => {
    const extra = {
      user: 'alice',
      login: 'root',
      request_id: uuid(9),
      sid: 's',
      command: 'ls',
      exitCode: '0',
    };
    expect(
      stored({ ...extra, server_id: uuid(1), server_hostname: 'n1', server_addr: '10.0.0.1:3022' }),
    ).toEqual({
      ...told(extra),
      actor: `node:${uuid(1)}`,
      server_id: uuid(1),
      server_hostname: 'n1',
      server_addr: '10.0.0.1:3022',
      received: at,
    });
    expect(stored()['request_id']).toBe(uuid(2));
  });

  it('keeps what the machine claims otherwise apart', () => {
    const lies = {
      ...{
        actor: 'admin',
        server_hostname: 'auth1',
        server_addr: '10.9.9.9:3025',
        request_id: 'x',
        received: '',
      },
      ...{ claimed: { actor: 'me' }, unknown_user: false },
    };
    const event = stored(lies);
    expect(event).toMatchObject({
      actor: `node:${uuid(1)}`,
      server_hostname: 'n1',
      server_addr: '10.0.0.1:3022',
      request_id: uuid(2),
      received: at,
      claimed: { actor: 'admin', server_hostname: 'auth1', server_addr: '10.9.9.9:3025' },
    });
    expect(event).not.toHaveProperty('unknown_user');
    expect(stored({ server_hostname: 'n1' }, { known: undefined })).toMatchObject({
      claimed: { server_hostname: 'n1' },
    });
    // As the release before says it.
    expect(stored({ user: 'alice', actor: 'user:alice' })).not.toHaveProperty('claimed');
  });

  it.each([
    ['2020-01-01T00:00:00.000Z', undefined],
    ['2099-01-01T00:00:00.000Z', undefined],
    ['2026-01-31T17:59:59.999Z', undefined],
    ['2026-01-31T18:00:00.000Z', 'kept'],
    // Waited in a spool for weeks.
    ['2026-02-02T00:00:00.000Z', 'kept'],
    [plusMs(at, 5 * hour), 'kept'],
    [plusMs(at, reportedSkewMs + 1), undefined],
  ])('of %s has the time of its arrival where that cannot be', (time, kept) => {
    const event = stored({ time, session_start: time });
    if (kept === undefined)
      expect(event).toMatchObject({ time: at, session_start: at, claimed: { time, session_start: time } });
    else expect(event).toMatchObject({ time, session_start: time });
    expect('claimed' in event).toBe(kept === undefined);
  });

  it('marks who is no user, cut to what a name may have', () => {
    expect(stored({ user: 'alice' })).not.toHaveProperty('unknown_user');
    expect(stored({ user: 'mallory' })).toMatchObject({ user: 'mallory', unknown_user: true });
    const long = stored({ user: 'x'.repeat(15_000) });
    expect(long.user).toHaveLength(129);
    expect(long).toMatchObject({ unknown_user: true, claimed: { user: 'x'.repeat(200) } });
  });

  it.each([
    ['Node', 'user.login', 'T1000I'],
    ['Node', 'user.delete', 'T1004I'],
    ['Node', 'exec', 'T1000I'],
    ['Node', 'auth', 'T3002I'],
    ['Node', 'cert.create', 'TC000I'],
    ['Node', 'constructor', 'x'],
    ['Node', '__proto__', 'x'],
    ['Proxy', 'session.start', 'T2000I'],
    ['Proxy', 'user.login', 'T1000W'],
  ] as const)('of a %s is never %s (%s)', (role, event, code) => {
    expect(() => stored({ event, code }, { role })).toThrow(/is not reported by a machine in role/);
  });

  it('is refused in the name of another server, and when it has no bottom', () => {
    expect(() => stored({ server_id: uuid(7) })).toThrow("server_id is not the caller's own");
    let deep: unknown = 1;
    for (let n = 0; n < 50_000; n++) deep = [deep];
    expect(() => stored({ deep })).toThrow('nested more than 16 deep');
  });

  it('names nobody else in what auth sets, whatever it holds', () => {
    const hostile = fc.oneof(fc.string({ maxLength: 300 }), fc.anything({ maxDepth: 2 }));
    const keys = ['actor', 'server_hostname', 'server_addr', 'received', 'claimed', 'session_stop', 'since'];
    const fields = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string({ maxLength: 20 })), hostile);
    fc.assert(
      fc.property(fields, fc.option(fc.string({ maxLength: 400 }), { nil: undefined }), (extra, user) => {
        const parsed = parsedAuditEvent.safeParse(
          JSON.parse(JSON.stringify({ ...extra, ...told({ user }) })),
        );
        if (!parsed.success) return;
        const event = asReported(parsed.data, reporter, arrival);
        expect(auditEvent.parse(event)).toEqual(event);
        expect(event).toMatchObject({
          actor: `node:${uuid(1)}`,
          server_id: uuid(1),
          server_hostname: 'n1',
          received: at,
          request_id: uuid(2),
        });
        for (const moment of [event.time, event['session_stop'] ?? at, event['since'] ?? at])
          expect(moment).toSatisfy(isBelievable);
        expect((event.user ?? '').length).toBeLessThanOrEqual(129);
        expect('unknown_user' in event).toBe(![undefined, '', 'alice'].includes(event.user));
        for (const said of Object.values(event['claimed'] ?? {}))
          expect(said).toSatisfy((text: string) => text.length <= 200);
      }),
    );
  });
});
