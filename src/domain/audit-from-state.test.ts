import { describe, expect, it } from 'vitest';
import type { Recorded } from '../log/event.ts';
import { uuidV7 } from '../log/uuid-v7.ts';
import { type AuditEvent, auditEvent } from './audit-event.ts';
import { auditFromState } from './audit-from-state.ts';
import recordedFacts from './fixtures/facts.json' with { type: 'json' };
import { expectInCatalogue } from './testing.ts';

const uuid = (): string => '00000000-0000-4000-8000-000000000001';
const madeAt = (moment: string): string => uuidV7({ now: () => moment, uuid });
/** With ids that were made when the facts were written. */
const fixtures = (recordedFacts as unknown as readonly Recorded[]).map((one) => ({
  ...one,
  id: madeAt(one.cause.at),
}));
const allTold = (type: string, n = 0): readonly AuditEvent[] => {
  const event = fixtures.filter(({ fact }) => fact.type === type)[n];
  return event ? auditFromState(event) : [];
};
const told = (type: string, n = 0): AuditEvent | undefined => allTold(type, n)[0];

describe('what the audit is told', () => {
  it('of what was deleted from the archive is until when, and not what was moved there', () => {
    const at = '2026-01-02T00:00:00.000Z';
    const place = {
      partition: 'audit',
      slot: 9,
      position: 20,
      hash: 'a'.repeat(64),
      until: at,
      place: 's3://b',
    };
    const of = (type: string, data: object): readonly AuditEvent[] =>
      auditFromState({
        ...{ id: madeAt(at), stream: 'archive-audit', revision: 1, position: 1 },
        cause: { at, actor: 'auth:x', requestId: 'r' },
        fact: { type, data },
      });
    const [deleted, ...more] = of('log.archive_deleted', place);
    expect(deleted).toMatchObject({ event: 'audit.delete', code: 'TAR000I', until: at, archive: 's3://b' });
    expect(auditEvent.parse(deleted)).toEqual(deleted);
    expect([more, of('log.archived', { ...place, firstSlot: 1, from: at })]).toEqual([[], []]);
  });
  it.each([
    ['user.created', 'user.create', 'T1002I'],
    ['user.roles_changed', 'user.update', 'T1003I'],
    ['user.traits_changed', 'user.update', 'T1003I'],
    ['user.deleted', 'user.delete', 'T1004I'],
    ['user.password_set', 'user.password_change', 'T1005I'],
    ['user.logged_in', 'user.login', 'T1000I'],
    ['user.login_refused', 'user.login', 'T1000W'],
    ['user.locked', 'lock.created', 'TLK00I'],
    ['user.unlocked', 'lock.deleted', 'TLK01I'],
    ['user.invited', 'reset_password_token.create', 'T6000I'],
    ['role.created', 'role.created', 'T9000I'],
    ['role.updated', 'role.updated', 'T9002I'],
    ['role.deleted', 'role.deleted', 'T9001I'],
    ['host.joined', 'instance.join', 'TJ002I'],
    ['host.changed', 'instance.update', 'TJ100I'],
    ['host.left', 'instance.leave', 'TJ101I'],
    ['token.created', 'join_token.create', 'TJT00I'],
    ['token.used', 'join_token.use', 'TJT02I'],
    ['token.deleted', 'join_token.delete', 'TJT01I'],
    ['lock.created', 'lock.created', 'TLK02I'],
    ['lock.ended', 'lock.deleted', 'TLK03I'],
    ['cluster.created', 'cluster.create', 'TCL000I'],
    ['cluster.configured', 'auth_preference.update', 'TCAUTH001I'],
    ['authority.created', 'cert_authority.create', 'TCA000I'],
    ['trusted_cluster.created', 'trusted_cluster.create', 'T7000I'],
    ['trusted_cluster.updated', 'trusted_cluster.update', 'T7003I'],
    ['trusted_cluster.keys_changed', 'trusted_cluster.keys', 'T7004I'],
    ['trusted_cluster.deleted', 'trusted_cluster.delete', 'T7001I'],
    ['remote_cluster.admitted', 'remote_cluster.create', 'T7100I'],
    ['remote_cluster.keys_changed', 'remote_cluster.keys', 'T7102I'],
    ['remote_cluster.deleted', 'remote_cluster.delete', 'T7101I'],
    ['identity.signed', 'cert.create', 'TC001I'],
  ])('of %s is %s', (type, event, code) => {
    const audit = told(type);
    expect(audit).toMatchObject({ event, code });
    expect(auditEvent.parse(audit)).toEqual(audit);
  });

  it('of an identity for longer than the limits is another code, and has the names of a host', () => {
    expect(told('identity.signed', 1)).toMatchObject({
      code: 'TC001W',
      cert_type: 'host',
      names: ['db1.example.com', 'db1'],
      signed_by: 'admin',
    });
  });

  it('is in the catalogue, with the fields that are named there', () => {
    const all = fixtures.flatMap((one) => auditFromState(one));
    expect(all.length).toBeGreaterThan(22);
    for (const one of all) expectInCatalogue(one);
  });

  it('carries who, why, when and one id, whoever tells it', () => {
    const source = fixtures.find(({ fact }) => fact.type === 'user.created');
    expect(told('user.created')).toEqual({
      ei: 0,
      event: 'user.create',
      code: 'T1002I',
      uid: source?.id,
      time: source?.cause.at,
      actor: 'admin',
      request_id: source?.cause.requestId,
      user: 'admin',
      name: 'joe',
      updated_by: 'admin',
      roles: ['admin'],
      connector: 'local',
    });
  });

  it('names the person a certificate was of', () => {
    const source = fixtures.find(({ fact }) => fact.type === 'user.deleted');
    const by = source && { ...source, cause: { ...source.cause, actor: 'user:alice' } };
    expect(by && auditFromState(by)).toMatchObject([{ user: 'alice', actor: 'user:alice', name: 'joe' }]);
  });

  it('says where a login came from, and why it was refused', () => {
    expect(told('user.login_refused', 3)).toMatchObject({
      user: 'joe',
      success: false,
      error: 'the one-time code was used before',
      'addr.remote': '198.51.100.7:50000',
      'addr.local': '192.0.2.1:3080',
    });
    expect(told('user.logged_in')).toMatchObject({ user: 'joe', success: true, method: 'local' });
  });

  it('is dated by who wrote it where the time of the log stood ahead', () => {
    const source = fixtures.find(({ fact }) => fact.type === 'user.invited');
    const ahead = source && { ...source, cause: { ...source.cause, at: '2027-01-01T00:00:00.000Z' } };
    expect(ahead && auditFromState(ahead)).toMatchObject([{ time: source?.cause.at, ttl: '1h0m0s' }]);
  });

  it('of a login that was given a certificate is that as well, by an id of its own', () => {
    expect(allTold('user.logged_in')).toHaveLength(1);
    const [login, certificate] = allTold('user.logged_in', 2);
    expect(login).toMatchObject({ event: 'user.login', user: 'ann' });
    expect(certificate).toEqual({
      event: 'cert.create',
      code: 'TC000I',
      uid: `${login?.uid.slice(0, 14)}8${login?.uid.slice(15)}`,
      time: login?.time,
      ei: 0,
      user: 'ann',
      cert_type: 'user',
      roles: ['admin'],
      logins: ['root'],
      ttl_seconds: 43_200,
      'addr.remote': '198.51.100.7:50000',
      'addr.local': '192.0.2.1:3080',
      actor: login?.['actor'],
      request_id: login?.['request_id'],
    });
    expect(auditEvent.parse(certificate)).toEqual(certificate);
  });

  it('is an event that the audit had no room for, as it is', () => {
    const [recorded] = fixtures.filter(({ fact }) => fact.type === 'audit.recorded');
    const event = (recorded?.fact.data as { event: AuditEvent }).event;
    expect(recorded && auditFromState({ ...recorded, stream: 'audit-a1' })).toEqual([event]);
  });

  it('of a machine that joined by a token which does not record that has the token, and the key before', () => {
    const recorded = fixtures.filter(({ fact }) => fact.type === 'host.admitted').at(-1);
    const of = (data: object): readonly AuditEvent[] =>
      recorded === undefined
        ? []
        : auditFromState({
            ...recorded,
            fact: { type: 'host.admitted', data: { ...recorded.fact.data, ...data } },
          });
    expect(of({})).toMatchObject([
      {
        ...{
          event: 'join_token.use',
          code: 'TJT02I',
          success: true,
          token_id: 'static-1',
          uid: recorded?.id,
        },
        ...{ host_id: '00000000-0000-4000-8000-0000000000b9', nodename: 'node9', role: 'Node' },
        ...{ key: 'SHA256:BBBB', 'addr.remote': '198.51.100.9:41002' },
      },
    ]);
    const both = of({ previousKey: 'SHA256:AAAA' });
    expect(both.map(({ event }) => event)).toEqual(['join_token.use', 'instance.rekey']);
    for (const event of both) expect(auditEvent.parse(event)).toEqual(event);
    expect(new Set(both.map(({ uid }) => uid)).size).toBe(2);
    // With the key that it has, by another token.
    expect(of({ previousKey: 'SHA256:BBBB' }).map(({ event }) => event)).toEqual(['join_token.use']);
    // Recorded by the token, as earlier releases recorded all; and by its certificate.
    const before = { previousKey: 'SHA256:AAAA' };
    expect(of({ ...before, by: undefined }).map(({ event }) => event)).toEqual(['instance.rekey']);
    expect(of({ ...before, by: 'renewal' })).toEqual([]);
  });

  it('says how long a link lives', () => {
    expect(told('user.invited')).toMatchObject({ ttl: '1h0m0s', purpose: 'invite' });
    expect(told('user.invited', 1)).toMatchObject({ ttl: '8h0m0s', purpose: 'reset' });
  });

  it('is nothing of what another fact of the same append tells, or what it does not know', () => {
    for (const type of [
      'user.password_reset',
      'user.otp_set',
      'invite.created',
      'hosts.renewed',
      'audit.recorded',
    ])
      expect(allTold(type)).toEqual([]);
    const [first] = fixtures;
    expect(first && auditFromState({ ...first, fact: { type: 'cluster.exploded', data: {} } })).toEqual([]);
  });
});
