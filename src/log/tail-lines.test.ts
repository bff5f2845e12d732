import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Recorded } from './event.ts';
import { tailJsonLine, tailTextLine } from './tail-lines.ts';

const event: Recorded = {
  id: '019b7600-0000-7000-8000-000000000001',
  stream: 'user-alice',
  revision: 3,
  position: 12,
  cause: { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' },
  fact: { type: 'user.password_set', data: { by: 'reset' } },
  sealed: { password: { keyId: 'k1', nonce: 'bm9uY2U=', ciphertext: 'c2VjcmV0' } },
};

describe('a line of the log', () => {
  it('says when, where, what, who, and which secrets, by name only', () => {
    expect(tailTextLine(event)).toBe(
      '2026-01-01T00:00:00.000Z  12  user-alice@3  user.password_set  by admin (r1)  {"by":"reset"}  sealed: password',
    );
    expect(JSON.parse(tailJsonLine(event))).toEqual({
      id: event.id,
      stream: 'user-alice',
      revision: 3,
      position: 12,
      type: 'user.password_set',
      at: '2026-01-01T00:00:00.000Z',
      actor: 'admin',
      requestId: 'r1',
      data: { by: 'reset' },
      sealed: ['password'],
    });
    for (const line of [tailTextLine(event), tailJsonLine(event)]) expect(line).not.toMatch(/c2Vj|k1|bm9u/);
  });

  it('stays one line and steers no terminal, whatever an event holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (actor, text) => {
        const wild = { ...event, cause: { ...event.cause, actor }, fact: { type: 't.x', data: { text } } };
        const json = tailJsonLine(wild);
        for (const line of [tailTextLine(wild), json]) expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(json)).toMatchObject({ actor, data: { text } });
      }),
    );
    const wild = { ...event, fact: { type: 't.x', data: { text: '\u001b[2J\n\u202e\u009b' } } };
    expect(tailTextLine(wild)).toContain(String.raw`\u001b[2J\n\u202e\u009b`);
  });
});
