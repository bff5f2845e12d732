import { describe, expect, it } from 'vitest';
import { askingComment, challengeOf, isOurBanner, plainBanners, serverName } from './server-banner.ts';
import { newChallenge } from './signed-client.ts';

const challenge = newChallenge();

describe('the banner of our servers', () => {
  it('begins as OpenSSH promises its extensions by, and is none of the versions that it knows faults of', () => {
    expect(serverName).toMatch(/^OpenSSH_[^0-9]/);
  });
  it.each(plainBanners)('%s asks for a signed address, which is read back', (banner) => {
    const asking = `${banner} ${askingComment(challenge)}`;
    expect(asking.length).toBeLessThan(253);
    expect(challengeOf(`${asking}\r\nmore`)).toBe(challenge);
    expect(isOurBanner(`${asking}\r\nmore`)).toBe(true);
  });
  it.each(plainBanners)('%s asks for nothing by anything else', (banner) => {
    for (const other of [
      `${banner}\r\n`,
      `${banner} ${askingComment(challenge)}`,
      `${banner} ${askingComment('xyz')}\r\n`,
      `${banner} ${askingComment(`${challenge}00`)}\r\n`,
      `SSH-2.0-OpenSSH ${askingComment(challenge)}\r\n`,
      `SSH-2.0-OpenSSH_9.2 ${askingComment(challenge)}\r\n`,
    ])
      expect(challengeOf(other)).toBeUndefined();
    expect(isOurBanner(`${banner}\n`)).toBe(true);
    expect(isOurBanner(banner)).toBe(false);
  });
  it.each([
    'SSH-2.0-OpenSSH_9.2',
    'SSH-2.0-OpenSSH',
    'SSH-2.0-OpenSSH_Teleporter',
    'SSH-2.0-Teleport-x',
    'SSH-2.0-dropbear Teleport',
  ])('%s is not ours', (banner) => {
    expect(isOurBanner(`${banner}\r\n`)).toBe(false);
  });
});
