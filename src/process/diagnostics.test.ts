import { expect, it } from 'vitest';
import { type Health, readyzAnswer } from './diagnostics.ts';

it.each<[Health, number, object]>([
  [{ status: 'ok' }, 200, { status: 'ok' }],
  [{ status: 'ok', notices: [] }, 200, { status: 'ok' }],
  [{ status: 'ok', notices: ['auth: x'] }, 200, { status: 'ok', notices: ['auth: x'] }],
  [{ status: 'degraded', reasons: ['auth: y'] }, 503, { status: 'degraded', reasons: ['auth: y'] }],
])('%j is answered with %d', (health, code, body) => {
  expect(readyzAnswer(health)).toEqual({ code, body });
});
