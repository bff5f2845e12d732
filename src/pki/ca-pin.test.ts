import { describe, expect, it } from 'vitest';
import { caPinOf, matchesPin } from './ca-pin.ts';
import { keyOf, testNow } from './testing.ts';
import { createCaCertificate } from './x509.ts';

const caOf = (purpose: string): string =>
  createCaCertificate({ clusterName: 'example', privateKey: keyOf('p256', purpose), now: testNow });

describe('the pin of an authority', () => {
  const pem = caOf('ca');
  const pin = caPinOf(pem);

  it('belongs to the key, not to the certificate', () => {
    expect(pin).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(caPinOf(caOf('ca'))).toBe(pin);
    expect(caPinOf(caOf('other ca'))).not.toBe(pin);
  });

  it('is found in a list of several', () => {
    expect(matchesPin(pem, [caPinOf(caOf('other ca')), ` ${pin.toUpperCase()}\n`])).toBe(true);
  });

  it.each([
    ['nothing', []],
    ['an empty pin', ['']],
    ['the pin of another', [caPinOf(caOf('other ca'))]],
    ['another algorithm', [pin.replace('sha256', 'sha512')]],
    ['no algorithm', [pin.slice('sha256:'.length)]],
    ['half of it', [pin.slice(0, 40)]],
    ['something after it', [`${pin}:00`]],
  ])('is not matched by %s', (_name, pins) => {
    expect(matchesPin(pem, pins)).toBe(false);
  });

  it('is not taken of what is no certificate', () => {
    expect(() => caPinOf('junk')).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
    expect(() => caPinOf(pem + caOf('other ca'))).toThrow('not one X.509 certificate');
  });
});
