import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { errorOfAnswer, isAnswer } from './wire-errors.ts';

describe('an error that came over the wire', () => {
  it('is told from one because nobody was reached, with the same code', () => {
    const sent = errorOfAnswer(503, '{"code":"unavailable","message":"the store does not answer"}');
    expect(sent).toMatchObject({ code: 'unavailable', message: 'the store does not answer' });
    expect(isAnswer(sent)).toBe(true);
    expect(isAnswer(errorOfAnswer(503, '{"code":"of-tomorrow","message":"m"}'))).toBe(true);
    expect(isAnswer(new CodedError('unavailable', 'connect ECONNREFUSED'))).toBe(false);
    expect(isAnswer(errorOfAnswer(502, '<html>'))).toBe(false);
  });

  it('says when it is worth while to ask again, within reason', () => {
    const after = (said: string): unknown =>
      errorOfAnswer(429, `{"code":"quota","message":"used up"${said}}`).retryAfterMs;
    expect(after(',"retryAfterMs":1500')).toBe(1500);
    expect(after(',"retryAfterMs":1e12')).toBe(3_600_000);
    for (const said of ['', ',"retryAfterMs":-1', ',"retryAfterMs":"x"', ',"retryAfterMs":null'])
      expect(after(said)).toBeUndefined();
  });
});

it('says what became of the call, where the server does', () => {
  const outcome = (said: string): unknown =>
    errorOfAnswer(503, `{"code":"unavailable","message":"m"${said}}`).outcome;
  expect(outcome(',"outcome":"nothing"')).toBe('nothing');
  expect(outcome(',"outcome":"unknown"')).toBe('unknown');
  for (const said of ['', ',"outcome":"of tomorrow"', ',"outcome":1']) expect(outcome(said)).toBeUndefined();
});
