import { describe, expect, it } from 'vitest';
import { removalText } from './removal-text.ts';

const lock = (lockId: string, kind: 'user' | 'login', name: string) => ({
  ...{ lockId, message: '', createdAt: '2026-01-01T00:00:00.000Z', by: 'admin' },
  target: { kind, name },
});

describe('what tctl users rm says', () => {
  it('names what ends with the user, and locks of its name that stay', () => {
    const locks = [lock('l1', 'user', 'joe'), lock('l2', 'user', 'bob'), lock('l3', 'login', 'joe')];
    const text = removalText('joe', locks);
    expect(text).toMatch(/live sessions and forwards, within two seconds .*certificates .*password/s);
    expect(text).toContain('"tctl unlock l1" ends it\n');
    expect(text).not.toMatch(/l2|l3/);
    expect(removalText('joe', [])).not.toContain('unlock');
  });
});
