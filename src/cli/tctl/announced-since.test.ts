import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { announcing } from '../../pki/announcement-testing.ts';
import { testIo } from '../tsh/testing.ts';
import { answerOf, foreign, next, now, old, TestTrust } from '../tsh/trust/testing.ts';
import { announcedSince } from './announced-since.ts';

let here: TestTrust;
beforeEach(async () => {
  here = await TestTrust.open();
});
afterEach(() => {
  here.close();
});
const pemOf = ({ key }: typeof old): string => key.tlsCertificatePem.trim();
const ask = async (...announced: Parameters<typeof announcedSince>[1]): Promise<string[] | undefined> => {
  const authorities = await announcedSince(here.identity(), announced, testIo(here.directory, now));
  return authorities?.map((pem) => pem.trim());
};
const says = (announcement?: ReturnType<typeof announcing>) => () => Promise.resolve(answerOf(announcement));

describe('what an identity file leads to after a rotation', () => {
  it('is what a key that it names has announced, of the first server that has it; nothing is written', async () => {
    const before = here.files();
    const away = () => Promise.reject(new CodedError('unavailable', 'nobody answers'));
    const led = await ask(away, says(), says(announcing([next, old])));
    expect(led).toEqual(expect.arrayContaining([pemOf(next), pemOf(old)]));
    expect(here.files()).toEqual(before);
  });

  it('is nothing where only keys vouch for it that the file does not name, or nobody announces', async () => {
    expect(await ask(says(announcing([foreign])), says(announcing([next])), says())).toBeUndefined();
    expect(await ask()).toBeUndefined();
  });
});
