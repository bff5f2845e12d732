import { expect, it } from 'vitest';
import { momentOfUuidV7, uuidV7 } from './uuid-v7.ts';

it('says when it was made, by the clock of its maker', () => {
  const now = '2026-01-01T12:00:00.123Z';
  const uuid = (): string => '00000000-0000-4000-8000-000000000001';
  expect(momentOfUuidV7(uuidV7({ now: () => now, uuid }))).toBe(now);
  expect(momentOfUuidV7(uuid())).toBeUndefined();
  expect(momentOfUuidV7('00000000-0000-7000-8000-000000000001')).toBeUndefined();
});
