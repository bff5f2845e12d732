import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { auditEvent, type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { fitEvent, gapFor, jsonBytes } from './fit-event.ts';

const event = (extra: object = {}): ParsedAuditEvent =>
  parsedAuditEvent.parse({
    event: 'exec',
    code: 'T3002I',
    uid: '00000000-0000-4000-8000-000000000001',
    time: '2026-01-01T00:00:00.000Z',
    ei: 0,
    ...extra,
  });
const bounds = { event: 8_000, text: 2_000 };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('fitting an event', () => {
  it('leaves one that fits as it is', () => {
    const fits = event({ command: 'x'.repeat(1_500) });
    expect(fitEvent(fits, bounds)).toBe(fits);
    const several = event({ a: 'x'.repeat(2_000), b: 'y'.repeat(2_000) });
    expect(fitEvent(several, bounds)).toEqual(several);
  });

  it.each([
    ['one byte a character', 'x'],
    ['two bytes', 'ä'],
    ['three bytes', '字'],
    ['four bytes in two units', '😀'],
    ['six bytes in JSON', '\u0001'],
    ['halves of a pair', '\ud83d'],
  ])('cuts texts of %s to bytes of JSON, and tears nothing', (_name, unit) => {
    const command = `a${unit.repeat(3_000)}z`;
    const fitted = fitEvent(event({ command }), bounds);
    expect(fitted?.['cut']).toEqual({
      command: { bytes: Buffer.byteLength(command), sha256: sha256(command) },
    });
    const cut = String(fitted?.['command']);
    expect(jsonBytes(cut) - 2).toBeLessThanOrEqual(2_000);
    expect(jsonBytes(cut)).toBeGreaterThan(1_950);
    expect(cut.startsWith('a')).toBe(true);
    expect(cut.endsWith('z')).toBe(true);
    if (unit !== '\ud83d') expect(cut.isWellFormed()).toBe(true);
  });

  it('cuts deep inside, and further when many texts are long', () => {
    const labels = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => [key, 'x'.repeat(5_000)]));
    const fitted = fitEvent(event({ server_labels: labels, list: ['y'.repeat(5_000)] }), bounds);
    expect(jsonBytes(fitted)).toBeLessThanOrEqual(bounds.event);
    expect(Object.keys(fitted?.['cut'] as object)).toEqual([
      ...Object.keys(labels).map((key) => `server_labels.${key}`),
      'list.0',
    ]);
    expect(fitted?.['list']).toHaveLength(1);
  });

  it('says of what is cut twice what it was at first', () => {
    const command = '字'.repeat(9_000);
    const once = fitEvent(event({ command }), { event: 60_000, text: 16_000 });
    const twice = once && fitEvent(once, bounds);
    expect(twice?.['cut']).toEqual({ command: { bytes: 27_000, sha256: sha256(command) } });
    expect(jsonBytes(twice)).toBeLessThan(3_000);
  });

  it('does not pretend to have made fit what has too many fields', () => {
    const labels = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`label-${i}`, 'x']));
    expect(fitEvent(event({ labels }), bounds)).toBeUndefined();
  });
});

describe('a gap', () => {
  it('is an audit event that names what is lost, small whatever that was', () => {
    const text = JSON.stringify(
      event({ user: '字'.repeat(9_000), login: 'root', sid: 's'.repeat(9_000), command: 'x'.repeat(90_000) }),
    );
    const gap = gapFor(text, 'r'.repeat(9_000), '2026-01-02T00:00:00.000Z');
    expect(auditEvent.parse(gap)).toEqual(gap);
    expect(jsonBytes(gap)).toBeLessThan(2_000);
    expect(gap).toMatchObject({ event: 'gap', about: 'exec', count: 1, login: 'root', since: event().time });
    expect(gap['lost']).toMatchObject({
      bytes: Buffer.byteLength(text),
      sha256: sha256(text),
      uid: event().uid,
    });
  });

  it('is the same event each time, and another one for another event', () => {
    const of = (uid: string, reason = 'x'): string => gapFor(JSON.stringify(event({ uid })), reason, '').uid;
    const [a, b] = [event().uid, '00000000-0000-4000-8000-000000000002'];
    expect(of(a)).toBe(of(a, 'y'));
    expect(of(a)).not.toBe(of(b));
    expect(of(a)).not.toBe(a);
  });

  it('stands also for what is no event at all', () => {
    const gap = gapFor('hello', 'not an audit event', '2026-01-02T00:00:00.000Z');
    expect(auditEvent.parse(gap)).toEqual(gap);
    expect(gap).toMatchObject({ about: 'unknown', lost: { bytes: 5 } });
  });
});
